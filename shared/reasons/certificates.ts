// What is wrong with keys and certificates, and who renews them.

import type { Explanations } from './explanation.ts'

export const CERTIFICATES: Explanations = {
  'ca-ends': [
    'The CA that would renew this certificate ends before a renewal would gain anything.',
    'Rotate the CA: `tlsfleet ca rotate`; see [rotation](ca-rotation.md).',
  ],
  'ca-not-renewed': [
    'A CA certificate is never renewed by itself.',
    'Rotate the CA in good time: `tlsfleet ca rotate`.',
  ],
  'ca-of-others': [
    'A CA of somebody else that the fleet spec names as trust; its owner renews it.',
    'Get the next one from its owner and add it to `trust` before the old one ends.',
  ],
  'certificate-expired': [
    'A certificate of the served chain has ended.',
    'Find out why it was not renewed: `tlsfleet certs --details`, `tlsfleet status`.',
  ],
  'certificate-foreign': [
    'What is served was not issued by the service CA of this fleet.',
    'Nothing if that is meant. Otherwise apply the fleet spec, or look for another process at the port.',
  ],
  'certificate-name-mismatch': [
    'The served certificate is not for the name by which it was asked.',
    'Give the certificate that name, or ask by one of its names.',
  ],
  'certificate-not-yet-valid': [
    'A certificate of the served chain is not valid yet.',
    'Check the clocks of the issuer and of the node that looks.',
  ],
  'certificate-not-trusted': [
    'The certificate of Elasticsearch or Kibana could not be verified.',
    'Give its CA with `--ca-file` and use one of the names in it; `tlsfleet trust` prints the CA of the fleet.',
  ],
  'certificate-unparsable': [
    'A text is not a certificate.',
    'Give PEM that begins with `-----BEGIN CERTIFICATE-----`.',
  ],
  'certificate-untrusted': [
    'The served chain does not lead to a certificate that is trusted.',
    'Wait if a rotation is under way. Otherwise the service serves something else than it should, or lacks its intermediates.',
  ],
  'chain-incomplete': [
    'An intermediate certificate is missing between the leaf and a trusted root.',
    'Give leaf and all intermediates, in that order, without the root.',
  ],
  'chain-order': [
    'The certificates of the chain are not in the order in which one signs the other.',
    'Put the leaf first, then its issuer, and so on.',
  ],
  'controller-down': [
    'Only the controller can renew this certificate, and the forecast assumes that it stays away.',
    'Bring the controller back before the date that is shown: [disaster recovery](operations.md#disaster-recovery).',
  ],
  'critical-extension': [
    'The certificate has a critical extension that is not known, so it cannot be accepted.',
    'Have it issued without that extension.',
  ],
  'der-malformed': [
    'A certificate, key or request is damaged: its bytes are not DER.',
    'Get the file again.',
  ],
  expired: [
    'The certificate has ended.',
    'Have it renewed. If tlsfleet should have done so, `tlsfleet certs` says why it did not.',
  ],
  'is-a-ca': [
    'A self-signed certificate does not say that it is no CA, so clients are not told to trust it.',
    'Let the node make a new one: `tlsfleet-agent renew SERVICE`.',
  ],
  'issue-not-recorded': [
    'By its chain the certificate is from the service CA, but its issue is not recorded.',
    'Was the controller restored from an older backup? Then it is renewed in time. Otherwise find out who has a copy of the CA key.',
  ],
  'issuer-expired': [
    'The CA ends before the certificate would be valid.',
    'Rotate the CA: `tlsfleet ca rotate`.',
  ],
  'issuer-files': [
    'Another tool places this certificate on the node, and tlsfleet never renews it.',
    'See that the other tool renews it in time.',
  ],
  'issuer-provided': [
    'An operator uploads the next certificate; nobody renews it by itself.',
    'Get the next one and upload it: `tlsfleet provided put`.',
  ],
  'issuer-unusable': [
    'The CA cannot issue: its certificate is not one of a CA, or does not fit its key.',
    'Look at `tlsfleet ca ls`; restore the controller from a backup if its store is damaged.',
  ],
  'key-encrypted': [
    'The private key has a passphrase.',
    'Remove it for the upload: `openssl pkey -in key.pem -out plain.pem`. The controller seals it again.',
  ],
  'key-mismatch': [
    'The private key does not belong to the certificate.',
    'Give the key that the certificate was requested with.',
  ],
  'key-unparsable': [
    'A text is not a key that can be read.',
    'Give PEM in PKCS#8 form. A public key never comes with its private key.',
  ],
  'lives-too-long': [
    'A self-signed certificate lives longer than clients accept (398 days).',
    'Let the node make a new one with a shorter `lifetime`.',
  ],
  'may-sign': [
    'The key of a self-signed certificate may sign others, so clients are not told to trust it.',
    'Let the node make a new one: `tlsfleet-agent renew SERVICE`.',
  ],
  'mode-audit': [
    'The node is in mode audit: it looks and changes nothing.',
    'Apply the fleet spec: a rollout brings the node to mode enforce.',
  ],
  'mode-stage': [
    'The node is in mode stage: it prepares and switches nothing.',
    'Wait for the rollout that prepares it: `tlsfleet rollout ls`. If none is under way, apply the fleet spec.',
  ],
  'name-constraints': [
    'A CA of the chain may not sign for one of the names.',
    'Use another name, or an intermediate whose zones include it: `tlsfleet-controller ca intermediate --zone`.',
  ],
  'name-invalid': [
    'A name is not a DNS name or IP address that can be in a certificate.',
    'Correct the name; the message shows it.',
  ],
  'names-unknown': [
    'A self-signed certificate has names of other kinds than DNS names and IP addresses.',
    'Let the node make a new one: `tlsfleet-agent renew SERVICE`.',
  ],
  'never-seen': [
    'The agent has enrolled and was not heard of since.',
    'Look at the agent on that node: `systemctl status tlsfleet-agent`, `tlsfleet-agent doctor`.',
  ],
  'node-silent': [
    'The agent does not answer.',
    'Look at the agent on that node: `systemctl status tlsfleet-agent`, `tlsfleet-agent doctor`. A node that is gone for good: `tlsfleet node rm`.',
  ],
  'not-a-ca': [
    'A certificate that should sign others is not one of a CA.',
    'Give the CA certificate itself.',
  ],
  'not-desired': [
    'No fleet spec asks for this certificate any more.',
    'Nothing. If it is still served, the service is not managed any more; add it to the fleet spec or see to it yourself.',
  ],
  'not-for-servers': [
    'A self-signed certificate is not for servers.',
    'Let the node make a new one: `tlsfleet-agent renew SERVICE`.',
  ],
  'not-observed': [
    'No report says what is served.',
    'Wait for the first report of the node, or look why it does not report: `tlsfleet node show`.',
  ],
  'not-self-signed': [
    'A certificate that was told to be self-signed is not signed by its own key.',
    'Clients are not told to trust it. Look at what this node serves.',
  ],
  'not-yet-valid': [
    'The certificate is not valid yet.',
    'Check the clock of this machine; otherwise wait.',
  ],
  'path-too-long': [
    'There are more CAs between leaf and root than one of them allows.',
    'Use a chain with fewer intermediates.',
  ],
  'pin-mismatch': [
    'What answers does not present the CA that the pin names. Nothing was sent.',
    'Compare the pin with what `tlsfleet init` printed. If both are right, somebody is in between.',
  ],
  'pkcs12-damaged': [
    'A PKCS#12 file is damaged.',
    'Nothing for a file that tlsfleet keeps: it is made anew. Otherwise get it again.',
  ],
  'pkcs12-differs': [
    'A PKCS#12 file does not hold the key, chain and trust that are wanted.',
    'Nothing: it is made anew.',
  ],
  'pkcs12-password-unusable': [
    'The password for a PKCS#12 file is empty or has characters that products read differently.',
    'Use a password of printable ASCII.',
  ],
  'pkcs12-several-passwords': [
    'Parts of a PKCS#12 file have different passwords.',
    'Nothing for a file that tlsfleet keeps: it is made anew. Otherwise export it again with one password.',
  ],
  'pkcs12-unprotected': [
    'A PKCS#12 file has no MAC, so nobody can say whether it was changed.',
    'Export it again with a password.',
  ],
  'pkcs12-unsupported': [
    'A PKCS#12 file is protected in a way that is not supported.',
    'Export it again with a current tool.',
  ],
  'pkcs12-wrong-password': [
    'A PKCS#12 file has another password.',
    'Nothing for a file that tlsfleet keeps: it is made anew. Otherwise give the right password.',
  ],
  'public-lifetime': [
    'The certificate lives longer than public CAs may issue it by its date, or would after a change.',
    'Choose a shorter `lifetime`; clients of public CAs refuse longer ones.',
  ],
  'renewal-overdue': [
    'The renewal was due and nothing has come of it.',
    'Look at the node: `tlsfleet node show`. See [renewal](renewal.md).',
  ],
  'renewal-planned': ['The certificate is renewed by itself in time.', 'Nothing.'],
  'san-missing': [
    'The certificate has no subject alternative name, and clients ignore its common name.',
    'Have it issued with its names as subject alternative names.',
  ],
  'self-signed-forgotten': [
    'Self-signed certificates that nobody serves any more are taken out of the trust of clients.',
    'Nothing.',
  ],
  'self-signed-given': [
    'Clients are given self-signed certificates that are new.',
    'Nothing: the rollout follows by itself.',
  ],
  'tls-off': ['TLS of this service is to be off, so its certificate is not renewed.', 'Nothing.'],
  'too-many': [
    'A node shows new self-signed certificates all the time, so clients are not told of them.',
    'Look at this node: something makes certificates in a loop.',
  ],
  'unknown-extension': [
    'A self-signed certificate has critical extensions that are not known.',
    'Let the node make a new one: `tlsfleet-agent renew SERVICE`.',
  ],
  untrusted: [
    'The chain does not lead to a certificate that is trusted.',
    'Name the CA with `trust`, or with `--trust` for an upload.',
  ],
  'weak-key': [
    'The key is too weak or of a kind that is not used.',
    'Use ECDSA P-256 or RSA of 2048 bits or more.',
  ],
  'weak-signature': [
    'A certificate of the chain is signed with a weak hash.',
    'Have it issued with SHA-256 or better.',
  ],
  'wrong-purpose': [
    'The certificate is not for this purpose, for example not for servers.',
    'Have it issued with the extended key usage that is needed.',
  ],
}
