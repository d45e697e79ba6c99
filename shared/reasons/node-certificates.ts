// Why an agent makes, takes or waits for a certificate.

import type { Explanations } from './explanation.ts'

export const NODE_CERTIFICATES: Explanations = {
  'certificate-missing': [
    'There is no certificate for this service yet.',
    'Nothing: a key is made and a certificate asked for.',
  ],
  'certificate-pending': [
    'The certificate was asked for, and its issuer has not answered yet.',
    'Wait. For `csr`: `tlsfleet csr ls`, sign and import. For `acme`: `tlsfleet acme ls` says what it waits for.',
  ],
  'certificate-rejected': [
    'The certificate that was issued does not fit what was asked for, so it is not used.',
    'The message says what is wrong with it. Have it issued anew, with the right key, names and purpose.',
  ],
  'certificate-requested': [
    'A new certificate was asked for and is on its way.',
    'Nothing. See `certificate-pending` if it takes long.',
  ],
  'certificate-superseded': [
    'An answer came for a certificate that is not wanted any more, as another is being prepared.',
    'Nothing.',
  ],
  'issuer-changed': [
    'The certificate was issued by another issuer than is wanted now.',
    'Nothing: a new one is made.',
  ],
  'issuer-unavailable': [
    'The issuer of this certificate cannot issue here: it needs a controller, or the pair is placed by another tool.',
    'Choose another issuer for this node, or run the agent with a controller.',
  ],
  'key-type-changed': [
    'The key is of another kind than is wanted now.',
    'Nothing: a new key and certificate are made.',
  ],
  'names-changed': [
    'The certificate has other names than are wanted now.',
    'Nothing: a new one is made.',
  ],
  'name-missing': [
    'The certificate lacks a name that is wanted.',
    'For a pair that is placed or uploaded: get one with the name. Otherwise nothing: a new one is made.',
  ],
  'probe-certificate-unusable': [
    'The trust or client certificate for a look at a server cannot be used.',
    'Check the PEM in `trust` and `upstreamTrust` of the fleet spec.',
  ],
  'renewal-due': [
    'The certificate ends soon enough to be renewed.',
    'Nothing: it is renewed. See [renewal](renewal.md).',
  ],
  'renewal-requested': ['An operator asked for a new key and certificate.', 'Nothing.'],
  'self-signed-not-given': [
    'Not all clients have been given the self-signed certificate that is in use.',
    'Wait for the rollout that follows by itself; if it stays, look at `tlsfleet rollout ls`.',
  ],
  'source-changed': [
    'The pair that another tool places, or that was uploaded, is a new one.',
    'Nothing: it is taken over.',
  ],
  'source-missing': [
    'A certificate, key or CA file that another tool should place is not there.',
    'Let the tool place it, or correct the path in the configuration.',
  ],
  'source-not-configured': [
    'It is not said where the pair of issuer `files` lies.',
    'Name certificate and key under `issuers.files` of agent.toml (or of the file for `--desired`).',
  ],
  'source-unreadable': [
    'The pair that another tool places could not be read.',
    'Check paths and rights; it may be in the middle of being replaced.',
  ],
  'successor-ahead': [
    'A new self-signed certificate is made before it is used, so that clients can be given it first.',
    'Nothing.',
  ],
  'successor-awaited': [
    'The next self-signed certificate waits until all clients have been given it, or a date is reached.',
    'Nothing. Clients that are offline hold it up until the date.',
  ],
  'trust-changed': [
    'The CA certificates that clients must trust have changed.',
    'Nothing: the bundle is written anew.',
  ],
  'trust-missing': ['The trust bundle is not there yet.', 'Nothing: it is written.'],
  'usage-changed': [
    'The certificate may be used for other purposes than is wanted now.',
    'Nothing: a new one is made.',
  ],
}
