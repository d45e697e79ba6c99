// Why a driver touches nothing.

import type { Explanations } from './explanation.ts'

export const DRIVER_REFUSALS: Explanations = {
  'version-unknown': [
    'The product did not tell a version that could be understood.',
    "Run the product's program with `--version` on the node as root. If it fails or prints something unusual, repair the installation; the next look finds the version.",
  ],
  'version-unsupported': [
    'This version of the product cannot do what is needed for TLS.',
    'Upgrade the product, or drop the wish that it cannot fulfil from the fleet spec. The message says which version is needed.',
  ],
  'option-unsupported': [
    'This version or edition of the product lacks a wanted option.',
    'Remove the option from the fleet spec for this service, or upgrade the product to a version or edition that has it.',
  ],
  'program-unknown': [
    'The unit starts another program than the product itself, so its arguments are not known.',
    'Look at `ExecStart=` of the unit with `systemctl cat`. Let it start the product itself and not a script around it, or do not let tlsfleet manage this service.',
  ],
  'names-missing': [
    'The certificate has no name, so nothing could be verified.',
    'Give the certificate at least one DNS name or IP address: names are recorded with `tlsfleet node add --dns` and `--ip`; `names` of an entry in the fleet spec picks among them.',
  ],
  'client-trust-missing': [
    'Client certificates are to be verified, but no CA is given that could have issued them.',
    'Give the CA of the clients with `trust` in the fleet spec, or set `clientAuth: none`.',
  ],
  'command-line-unclear': [
    'The arguments that the program gets cannot be found out.',
    'Look at the unit with `systemctl cat`: its command line has variables or quotes that cannot be followed. Write the arguments plainly, or keep them in an environment file.',
  ],
  'flag-repeated': [
    'A flag that the product accepts only once is given several times.',
    'Remove the flag from all places but one: the unit, its drop-ins and its environment file.',
  ],
  'flags-not-editable': [
    'A flag must be added or changed, but no environment file holds a variable for it, and a drop-in could not repeat the command line.',
    "Put the arguments of the program into a variable of an environment file, as Debian's packages do, or free the command line from quoting that cannot be repeated.",
  ],
  'web-config-key-unknown': [
    'This version of the product refuses a key that stands in its web configuration.',
    'Remove the key that the message names from the web configuration of the product, or upgrade the product.',
  ],
  'listen-address-unclear': [
    'The address that the product listens on cannot be found out.',
    'Write the listen address in the configuration or on the command line as plain host and port.',
  ],
  'listener-disabled': [
    'The HTTP listener of the product is switched off.',
    'Switch the HTTP listener of the product on, or remove the service from the fleet spec.',
  ],
  'path-not-allowed': [
    'A file lies where the service cannot read it reliably, and it cannot be replaced safely.',
    'Move the file out of places that the service cannot see, such as home directories and `/tmp`. The message names file and place.',
  ],
  'config-missing': [
    'The configuration file of the product does not exist.',
    'Restore the configuration file of the product, or repair its installation.',
  ],
  'config-unreadable': [
    'A configuration file could not be read.',
    "For a product on a node: look at the file's owner, type and file system; it must be a regular file. For `tlsfleet` and `tlsfleet-controller`: the file that is named must exist and be readable by this user.",
  ],
  'config-unparsable': [
    'A configuration file could not be parsed, so it is left alone.',
    'Correct the file at the line that the message names. The product itself would most likely refuse it too.',
  ],
  'config-unexpected': [
    'A key of a configuration file holds a value of another kind than the product takes.',
    'Correct the key that the message names: the product takes another kind of value there.',
  ],
  'key-repeated': [
    'A key is there more than once, so nobody can say which of its values counts.',
    'Remove all but one of the places where the key is set. The message names it.',
  ],
  'max-version-too-low': [
    'The highest TLS version in the configuration is lower than the wanted minimum.',
    "Raise or remove the highest TLS version in the product's configuration, or lower `minVersion` in the fleet spec.",
  ],
  'upstream-name-not-covered': [
    'The product connects to a server by a name that is none of the names recorded for it.',
    "Let the product connect by a name that the server's certificate has, or record the name for its node: `tlsfleet node set --dns` with all names, then `tlsfleet apply`.",
  ],
  'hostname-not-covered': [
    'Other nodes connect to a name that is none of the names of the certificate.',
    'Record the name for this node (`tlsfleet node set --dns` with all names, then `tlsfleet apply`), or let the others connect by a name that the certificate has.',
  ],
  'trust-store-unknown': [
    'The CA store of the node was not found.',
    'Install the package `ca-certificates` on the node, or give the CA with `upstreamTrust`.',
  ],
  'environment-missing': [
    'A variable is needed, but the unit reads no environment file that could hold it.',
    'Give the unit an environment file: a drop-in with `EnvironmentFile=`.',
  ],
  'keystore-override': [
    "An entry of the product's store of secrets overrides the configuration file with another value.",
    "Remove the entry that the message names from the product's store of secrets with the product's own tool.",
  ],
  'environment-fixed': [
    'A variable in the unit itself overrides the configuration file with another value.',
    'Remove the variable from the unit or its drop-ins, or move it to an environment file.',
  ],
  'security-disabled': [
    'The product verifies nobody: passwords come before TLS, and are for its operator to set up.',
    'Switch the security of Elasticsearch on and set passwords first; [its page](products/elasticsearch.md) says how. Then go on with TLS.',
  ],
  'coordinated-change': [
    'The change takes all nodes of a cluster down at once, so no node makes it by itself.',
    'In a maintenance window, `tlsfleet apply --together GROUP` with the group that has all nodes of the cluster; for Elasticsearch with `transport: manage` ([its page](products/elasticsearch.md)). Nodes of InfluxDB Enterprise do it one by one where `schemeChange: rolling` says so ([meta nodes](products/influxdb-meta.md#order-and-interruption)).',
  ],
  'transport-issuer': [
    'Whoever has a certificate of that issuer could join the Elasticsearch cluster.',
    'Use issuer `internal` for these nodes, or set up TLS between them yourself and say `transport: require`.',
  ],
  'transport-managed': [
    'TLS between the nodes of Elasticsearch uses the certificate that tlsfleet renews, and would be without one that fits.',
    'Say `transport: manage` to keep it so, or `transport: leave` with `--together GROUP` to switch it off.',
  ],
  'plaintext-impossible': [
    'Something else in the configuration does not work without TLS.',
    "Remove from the product's configuration what needs TLS (the message names it), or leave `tls: on`.",
  ],
  'keystore-protected': [
    "The product's store of secrets has a password that is not known, so neither it nor a restart is possible.",
    "Remove the password from the product's store of secrets, so that the unit can open it without a person.",
  ],
  'setting-on-command-line': [
    'An argument of the program overrides a setting of the configuration file.',
    'Remove the argument from the command line of the unit, so that the configuration file counts.',
  ],
}
