// Requests for certificates, uploaded pairs, orders.

import type { Explanations } from './explanation.ts'

export const ISSUERS: Explanations = {
  'ca-as-leaf': [
    'The certificate for a service is a CA certificate, which some clients refuse.',
    "Have a leaf certificate issued and not the CA's own.",
  ],
  'certificate-refused': [
    'A certificate request was refused, by an operator or by its issuer.',
    'Change what is asked for and apply, or apply once more to ask again.',
  ],
  'csr-key-differs': [
    'The certificate request is for another key than the one that the agent proved to have.',
    'This is a fault of the agent or somebody changed the request; it is asked anew.',
  ],
  'csr-missing': [
    'The issuer needs a certificate request, and the agent sent none.',
    'Upgrade the agent of this node.',
  ],
  'csr-names': [
    'The certificate request has names that cannot be used.',
    'Check the names of the node and of the fleet spec.',
  ],
  'csr-names-differ': [
    'The certificate request asks for other names than the document of the node.',
    'Nothing if the fleet spec has just changed: it is asked anew. Otherwise upgrade the agent.',
  ],
  'csr-signature': [
    'The certificate request is not signed by its own key.',
    'It was damaged on its way; have it exported again.',
  ],
  'csr-unparsable': ['A text is not a certificate request.', 'Give PKCS#10 as PEM or DER.'],
  'ends-soon': [
    'The uploaded pair ends soon.',
    'Get the next one and upload it: `tlsfleet provided put`.',
  ],
  'issuer-not-internal': [
    'An agent asked the service CA for a certificate that has another issuer.',
    'Nothing if the fleet spec has just changed: the agent asks again.',
  ],
  'key-reused': [
    'The key was used before, and every certificate has a key of its own.',
    'The agent makes a new key and asks again. If it repeats, two machines may share one state directory.',
  ],
  'key-unknown': [
    'No node has made a request with the key of this certificate.',
    'Import the certificates that were signed for `tlsfleet csr export`, not others.',
  ],
  'lifetime-too-long': [
    'The certificate would live longer than the fleet spec or the CA allows.',
    'Nothing if the fleet spec has just changed. Otherwise lower `lifetime`.',
  ],
  'names-not-recorded': [
    'A certificate was asked for with names that are not recorded for the node.',
    'The names of a node are given when it is added. An agent never gets a certificate for another name; see [security](security.md).',
  ],
  'not-wanted': [
    'The node is not meant to have such a certificate any more.',
    'Nothing: the request is closed.',
  ],
  'outside-name-constraints': [
    'The service CA may not sign for a name.',
    'Make an intermediate whose zones include it (`tlsfleet-controller ca intermediate --zone`), or say that another issuer signs: `tlsfleet node add --outside-zones`.',
  ],
  'provided-in-use': [
    'An uploaded pair is used by nodes or selected by the newest fleet spec, so it is not removed.',
    'Apply a fleet spec that does not select it, then remove it.',
  ],
  'provided-not-selected': [
    'A node asked for an uploaded pair that is not for it. It got nothing.',
    'Nothing if the fleet spec has just changed. Otherwise look at this node: it asks for keys of others.',
  ],
  'provided-refused': [
    'The uploaded pair cannot be used.',
    'The message says what is wrong with it; see the codes named there.',
  ],
  'provided-unknown': [
    'The wanted version of an uploaded pair is not in the store any more.',
    'Upload it again, or apply the fleet spec anew.',
  ],
  'refused-by-operator': [
    'An operator refused the certificate request.',
    'Its reason is in the message. Change what is asked for and apply.',
  ],
  'root-in-chain': [
    'The chain has its root in it, which no client needs.',
    'Leave the root out; it is accepted all the same.',
  ],
  'acme-account-refused': [
    'The ACME directory does not accept the account, or wants an external account binding.',
    'Give `eab` of this directory in controller.toml, or ask the CA why the account was refused.',
  ],
  'acme-answer-malformed': [
    'The ACME directory answered with something else than the protocol says.',
    'Check the URL of the directory; a proxy may answer in its place.',
  ],
  'acme-ca-unreadable': [
    'The file with the CA of the ACME directory could not be read.',
    'Check `caFile` of this directory in controller.toml, and its rights.',
  ],
  'acme-chain-unfit': [
    'What the ACME directory signed does not fit the request.',
    'The message says why. It is tried again; ask the CA if it repeats.',
  ],
  'acme-cleanup-failed': [
    'DNS records of an order could not be removed.',
    'Remove the `_acme-challenge` records by hand, and repair the DNS program.',
  ],
  'acme-directory-unknown': [
    'The fleet spec names an ACME directory that controller.toml does not have.',
    'Add `[acme.NAME]` to controller.toml and restart the controller.',
  ],
  'acme-eab-unreadable': [
    'The file with the key for the external account binding could not be read.',
    'Check `eab.hmacFile` of this directory in controller.toml, and its rights.',
  ],
  'acme-failed': [
    'An order at an ACME directory failed for a reason that has no code of its own.',
    'The message says more; it is tried again.',
  ],
  'acme-no-challenge': [
    'The directory offers no challenge for a name that is configured here.',
    'Configure `http01` or `dns` for this directory in controller.toml; wildcards need `dns`.',
  ],
  'acme-paced': [
    'As many orders were placed within the hour as the configuration allows.',
    'Nothing: it goes on by itself. Raise `ordersPerHour` if the CA allows more.',
  ],
  'acme-problem': [
    'The ACME directory refused a step of an order for now.',
    'The message has its answer; it is tried again.',
  ],
  'acme-rate-limited': [
    'The ACME directory says that its rate limit is reached.',
    'Nothing: it is tried again when the directory says. Spread renewals or ask the CA for more.',
  ],
  'acme-refused': [
    'The ACME directory refuses these names for good.',
    'The message says why. Change the names or the issuer and apply.',
  ],
  'acme-slow': ['The ACME directory is not done yet.', 'Nothing: it is asked again.'],
  'acme-unavailable': [
    'The ACME directory has a fault of its own.',
    "Nothing: it is tried again. Look at the CA's status page if it lasts.",
  ],
  'acme-unreachable': [
    'The ACME directory could not be reached or verified.',
    'Check network, proxy and, for a private CA, `caFile`.',
  ],
  'acme-validation-failed': [
    'The ACME directory could not validate a name.',
    'See that the challenge is reachable from there: HTTP on port 80 of the name, or the DNS record. The message has its answer.',
  ],
  'already-withdrawn': ['The request was withdrawn before: it is not wanted any more.', 'Nothing.'],
  'already-signed': ['The request was signed before.', 'Nothing.'],
  'already-refused': ['The request was refused before.', 'Apply the fleet spec to ask again.'],
  'asked-anew': [
    'The node has asked again with another request, so this one is closed.',
    'Sign the newer one: `tlsfleet csr ls`.',
  ],
  'awaiting-order': [
    'The request waits for the ACME directory.',
    '`tlsfleet acme ls` says what it waits for.',
  ],
  'awaiting-signature': [
    'The request waits to be signed by whoever issues certificates.',
    '`tlsfleet csr export`, have them signed, `tlsfleet csr import`.',
  ],
  'dns-program-failed': [
    'The program that sets DNS records failed.',
    "The message has what it said; run it by hand as the controller's user.",
  ],
  'dns-program-unusable': [
    'The program that sets DNS records may not be run: others could change it.',
    'Program and its directories must belong to root or the controller and be writable by nobody else.',
  ],
  'no-certificates': [
    'No certificate was found in the files that were given.',
    'Give PEM, DER, PKCS#7 or a tar of such files.',
  ],
  'too-many-issuers': [
    'More CA certificates were given than go together.',
    'Give the CAs of these certificates only.',
  ],
  'too-many-pending': [
    'The node has made too many certificate requests within a day.',
    'Look why it asks so often; sign or refuse what is pending.',
  ],
}
