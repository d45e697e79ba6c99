// Why a driver changes a file.

import type { Explanations } from './explanation.ts'

export const DRIVER_CHANGES: Explanations = {
  'tls-required': [
    'TLS is wanted and was not configured.',
    'Nothing: this says why a file is changed.',
  ],
  'tls-settings': [
    'The TLS settings of the file are kept as the desired state says.',
    'Nothing: this says why a file is changed. If it comes back after each correction, something else writes the file: find it, or let it write what the fleet spec says.',
  ],
  'certificate-path-replaced': [
    'Certificate and key are taken from a directory of their own instead of another place.',
    'Nothing. The old certificate and key can be removed once the change has held.',
  ],
  'inline-pem-replaced': [
    'Certificate and key stood in the configuration file itself and are taken from files instead.',
    'Nothing. Copies of the configuration file elsewhere may still hold the private key: remove them.',
  ],
  'guide-home-path': [
    'A guide puts files under a home directory, which the sandbox of the unit hides.',
    'Nothing: the files are now where the unit can read them.',
  ],
  'guide-variable-path': [
    'A guide names a variable in a path in a spelling that the product does not put in.',
    'Nothing: the path is written out.',
  ],
  'plaintext-required': [
    'TLS is not wanted and was configured.',
    'Nothing: the fleet spec says `tls: off`. If that is not meant, change the spec.',
  ],
  'guide-option-names': [
    'A guide names TLS options that this version of the product refuses or soon will.',
    'Nothing: the options get the names that this version knows.',
  ],
  'trust-path-replaced': [
    'CA certificates are taken from a file that is kept up to date.',
    'Nothing: the product now reads the bundle that tlsfleet keeps.',
  ],
  'trust-store': [
    'The product has no key for CA certificates and trusts what the node or its environment says.',
    'Nothing: the CA certificates are given through the node or the environment of the unit.',
  ],
  'upstream-variable': [
    'A variable of an environment file holds the address of a server.',
    'Nothing: the variable is changed where it is set.',
  ],
  'upstream-tls': [
    'The servers that it connects to speak TLS.',
    'Nothing: the addresses get `https`.',
  ],
  'upstream-plaintext': [
    'The servers that it connects to speak plaintext.',
    'As a reason for a change: nothing, the addresses get `http`. As a notice: a server still answers without TLS; it is most likely not done yet. If it stays, look at that server with `tlsfleet node show`.',
  ],
  'module-settings': [
    'A module follows the listeners that it asks.',
    'Nothing: the module asks the listener by the scheme that it speaks.',
  ],
  'module-enabled': [
    'A module of a Beat is wanted and was not enabled.',
    'Nothing: the module is enabled because the fleet spec wants it.',
  ],
  'password-in-clear': [
    'A password stands in clear in a configuration file.',
    "Nothing where it is moved to the product's store of secrets. Change the password afterwards if the file was readable by others or is in backups.",
  ],
  'guide-relative-path': [
    'A guide gives a relative path, which is resolved against the directory of the process.',
    'Nothing: the path is made absolute.',
  ],
  'guide-key-names': [
    'A guide names keys that the product ignores, so TLS had no certificate.',
    'Nothing: the keys get the names that the product reads.',
  ],
  'guide-shared-directory': [
    'A guide puts the key into a system directory, where only root can read it.',
    'Nothing: the key moves to a directory of its own. Remove the old file once the change has held.',
  ],
  'environment-override': [
    'A variable of an environment file overrides the configuration file with another value.',
    'Nothing: the variable in the environment file is changed, because it is what counts.',
  ],
  'upstream-trust': [
    'The CA certificates that vouch for the servers it connects to are kept in a file.',
    'Nothing: the file is kept up to date from now on.',
  ],
  'flags-required': [
    'The program needs flags that name its web configuration and its https address.',
    'Nothing: the flags go where the unit takes them from.',
  ],
  'flags-obsolete': [
    'Flags that TLS needed are taken back.',
    'Nothing: the flags are taken out again.',
  ],
  'drop-in-required': [
    'A drop-in gives the program flags, because no environment file can.',
    'Nothing: look at it with `systemctl cat` of the unit.',
  ],
  'drop-in-obsolete': [
    'The drop-in with flags for TLS is not needed any more.',
    'Nothing: the drop-in is removed.',
  ],
  'self-scrape': [
    'The server scrapes itself, which must follow its own listener to https.',
    'Nothing: the scrape job of the server itself follows its listener.',
  ],
  'autoconfigured-store': [
    'The product made its certificate itself at its first start, and nobody renews it.',
    'Nothing: the certificate comes from the issuer of the fleet spec and is renewed. Clients that trusted the old CA need the new one: `tlsfleet trust`.',
  ],
  'guide-store': [
    'A guide puts a PKCS#12 file beside the configuration, and nobody renews it.',
    'Nothing: the file is replaced by one that is renewed. Remove the old one once the change has held.',
  ],
  'guide-flat-keys': [
    'A guide adds keys that the file has already in another spelling, and only the last one counts.',
    'Nothing: one spelling stays.',
  ],
  'store-password': [
    "The password of the PKCS#12 file is an entry of the product's store of secrets.",
    'Nothing: the entry and the file are changed together.',
  ],
}
