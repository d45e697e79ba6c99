// What each key of the two configuration files means. Types, limits and defaults come from the schemas;
// a key without a line here, or a line without a key, stops the generator.

export interface Meaning {
  readonly meaning: string
  readonly example: string
  /** Where the schema has no default because the program works it out. */
  readonly whenAbsent?: string
}

export const AGENT_TOML: Readonly<Record<string, Meaning>> = {
  stateDirectory: {
    meaning: 'identity, ledger, journal, releases in the making',
    example: '"/var/lib/tlsfleet/agent"',
  },
  interval: {
    meaning: 'a full look at everything, whatever the watchers say: a duration from `10s` to `1d`',
    example: '"5m"',
  },
  logLevel: { meaning: 'what is logged', example: '"info"' },
  issuers: { meaning: 'sources of certificates that only this node knows', example: '' },
  'issuers.files': {
    meaning: 'pairs that another tool places on this node, by product',
    example: '',
  },
  'issuers.files.<name>.certificate': {
    meaning: 'chain, leaf first; copied, never changed',
    example: '"/etc/letsencrypt/live/mon-1/fullchain.pem"',
  },
  'issuers.files.<name>.privateKey': {
    meaning: 'its key',
    example: '"/etc/letsencrypt/live/mon-1/privkey.pem"',
  },
  'issuers.localCa': { meaning: 'a CA on this node, for issuer `local-ca`', example: '' },
  'issuers.localCa.certificate': {
    meaning: 'its certificate, with intermediates where there are some',
    example: '"/etc/tlsfleet/ca.pem"',
  },
  'issuers.localCa.privateKey': { meaning: 'its key', example: '"/etc/tlsfleet/ca.key"' },
  credentials: {
    meaning: 'what products are asked with, where they tell more to whom they know',
    example: '',
  },
  'credentials.elasticsearch': {
    meaning: 'either an API key, or user and password',
    example: '',
  },
  'credentials.elasticsearch.apiKeyFile': {
    meaning: 'file that holds the API key',
    example: '"/etc/tlsfleet/elasticsearch-api-key"',
  },
  'credentials.elasticsearch.user': { meaning: 'user', example: '"tlsfleet_monitor"' },
  'credentials.elasticsearch.passwordFile': {
    meaning: 'file that holds its password',
    example: '"/etc/tlsfleet/elasticsearch-password"',
  },
  'credentials.elasticsearch.overPlaintext': {
    meaning:
      "shown to this node's own Elasticsearch before it speaks TLS too, over connections that do not leave the machine",
    example: 'true',
  },
  metrics: {
    meaning: "for node_exporter's textfile collector: [monitoring](../monitoring.md)",
    example: '',
  },
  'metrics.textfile': {
    meaning: 'file that is written when something has changed',
    example: '"/var/lib/prometheus/node-exporter/tlsfleet.prom"',
  },
  'metrics.refresh': {
    meaning: 'also so often when nothing has changed: a duration from `10s` to `1d`',
    whenAbsent: 'only with changes',
    example: '"1h"',
  },
  offline: {
    meaning: 'what the agent does by itself while its controller does not answer',
    example: '',
  },
  'offline.disruptive': {
    meaning:
      'renewals and corrections that disturb a service: `group` waits where the node is in a group, `wait` waits always, `go` never. The permit of a rollout is always waited for',
    example: '"group"',
  },
  'offline.renewWithin': {
    meaning: 'a renewal goes ahead all the same when the certificate in use ends sooner than this',
    whenAbsent: 'never',
    example: '"24h"',
  },
  snapshots: {
    meaning:
      'what saves a service before it is stopped with those of other nodes, by product: [snapshots](../rollouts.md#snapshots)',
    example: '',
  },
  'snapshots.<name>.command': {
    meaning:
      'program, by its absolute path, and its arguments; run as root while the service runs. It and its directories belong to root and are writable by nobody else. After a crash of the agent it may be run again',
    whenAbsent: 'none is run',
    example: '["/usr/local/sbin/save-meta", "/srv/backup"]',
  },
  'snapshots.<name>.timeout': {
    meaning: 'after which the program is ended, and nobody stopped: a duration from `1s` to `24h`',
    example: '"30m"',
  },
  'snapshots.<name>.copy': {
    meaning:
      'whether the agent also copies what it knows (influxdb-meta: `[meta] dir`) while the service is stopped',
    example: 'true',
  },
  allow: { meaning: 'what the agent may do at most; who owns the node decides', example: '' },
  'allow.services': { meaning: 'products that it may touch', example: '["prometheus"]' },
  'allow.activations': {
    meaning:
      'what it may do to their units; without `restart` a change that needs one is refused (`activation-not-allowed`)',
    example: '["none", "reload"]',
  },
  'allow.paths': {
    meaning:
      'directories and files at or below which it may write; a change that writes elsewhere is refused (`write-not-allowed`)',
    whenAbsent: 'wherever the products keep theirs',
    example: '["/etc/prometheus", "/etc/default"]',
  },
}

export const CONTROLLER_TOML: Readonly<Record<string, Meaning>> = {
  dataDir: {
    meaning: 'where the database is; also `--data-dir`',
    whenAbsent: '`/var/lib/tlsfleet/controller`',
    example: '"/var/lib/tlsfleet/controller"',
  },
  publicNames: {
    meaning: 'DNS names and IP addresses that nodes and operators use; the first one is in URLs',
    whenAbsent: 'the name of this machine',
    example: '["controller.example.org", "10.0.0.5"]',
  },
  logLevel: { meaning: 'what is logged', whenAbsent: '`info`', example: '"info"' },
  passphraseFile: {
    meaning: 'opens the CA keys',
    whenAbsent:
      'the systemd credential `ca-passphrase`, else the file `ca-passphrase` beside the data directory',
    example: '"/etc/tlsfleet/ca-passphrase"',
  },
  identity: { meaning: 'of agents', example: '' },
  'identity.lifetime': {
    meaning: 'of their client certificates, from `15m` to `90d`; renewed at half of it',
    whenAbsent: '`7d`',
    example: '"7d"',
  },
  'identity.grace': {
    meaning: 'how long after its end an identity can be renewed by proof of its key, up to `400d`',
    whenAbsent: '`30d`',
    example: '"30d"',
  },
  acme: {
    meaning:
      'ACME directories by the names that the fleet spec uses: [issuers](../issuers.md#acme)',
    example: '',
  },
  'acme.<name>.directory': {
    meaning: 'URL of the directory',
    example: '"https://ca.example.org/acme/directory"',
  },
  'acme.<name>.termsAgreed': {
    meaning: 'nothing is ordered without it',
    whenAbsent: '`false`',
    example: 'true',
  },
  'acme.<name>.email': {
    meaning: 'of the account',
    whenAbsent: 'none',
    example: '"pki@example.org"',
  },
  'acme.<name>.caFile': {
    meaning: "roots of the directory's own TLS, an absolute path",
    whenAbsent: 'public CAs',
    example: '"/etc/tlsfleet/corp-root.pem"',
  },
  'acme.<name>.eab': { meaning: 'external account binding', whenAbsent: 'none', example: '' },
  'acme.<name>.eab.kid': { meaning: 'identifier of its key', example: '"kid-1"' },
  'acme.<name>.eab.hmacFile': { meaning: 'file with its key', example: '"/etc/tlsfleet/corp-eab"' },
  'acme.<name>.dns': { meaning: 'DNS-01 by a program', whenAbsent: 'no DNS-01', example: '' },
  'acme.<name>.dns.program': {
    meaning: 'sets and removes records; belongs to root or the controller',
    example: '"/usr/local/lib/tlsfleet/dns-update"',
  },
  'acme.<name>.dns.timeout': { meaning: 'for one run of it', whenAbsent: '`2m`', example: '"2m"' },
  'acme.<name>.dns.check': {
    meaning: 'ask the program whether the record can be seen, before the directory looks',
    whenAbsent: '`false`',
    example: 'false',
  },
  'acme.<name>.http01': {
    meaning: 'HTTP-01 by a listener here',
    whenAbsent: '`false`',
    example: '',
  },
  'acme.<name>.http01.listen': {
    meaning: 'port 80 of the names must lead here',
    example: '"0.0.0.0:8080"',
  },
  'acme.<name>.ipAddresses': {
    meaning: 'whether it issues for IP addresses (RFC 8738)',
    whenAbsent: '`false`',
    example: 'false',
  },
  'acme.<name>.atOnce': { meaning: 'orders under way', whenAbsent: '`4`', example: '4' },
  'acme.<name>.ordersPerHour': { meaning: 'more wait', whenAbsent: '`60`', example: '60' },
  'acme.<name>.pollLimit': {
    meaning: 'for a validation or an issuance, in one attempt',
    whenAbsent: '`5m`',
    example: '"5m"',
  },
  'acme.<name>.retry': {
    meaning: 'after a first failure; doubles up to `1h`',
    whenAbsent: '`1m`',
    example: '"1m"',
  },
  agents: { meaning: 'what is expected of agents', example: '' },
  'agents.offlineAfter': {
    meaning:
      'an agent that was not heard of for so long is offline, from `15s` to `1h`; rollouts leave it out. After a start of the controller all have this time to come back',
    whenAbsent: '`90s`',
    example: '"90s"',
  },
  metrics: {
    meaning: 'metrics for this machine, beside those of the operators’ port',
    example: '',
  },
  'metrics.listen': {
    meaning: 'an address of loopback; no TLS and no token',
    whenAbsent: 'none',
    example: '"127.0.0.1:9109"',
  },
  operators: {
    meaning: 'client certificates of operators: [security](../security.md)',
    example: '',
  },
  'operators.clientCa': {
    meaning: 'file with the CA of those certificates',
    whenAbsent: 'tokens only',
    example: '"/etc/tlsfleet/operators-ca.pem"',
  },
  webhooks: {
    meaning: 'who is told of news: [monitoring](../monitoring.md)',
    whenAbsent: 'nobody is told',
    example: '',
  },
  'webhooks[].name': { meaning: 'in logs and metrics', example: '"oncall"' },
  'webhooks[].url': {
    meaning: 'https, without a password',
    example: '"https://hooks.example.org/tlsfleet"',
  },
  'webhooks[].secretFile': {
    meaning: 'signs what is sent; at least 16 characters',
    example: '"/etc/tlsfleet/webhook-oncall"',
  },
  'webhooks[].caFile': {
    meaning: "roots of the receiver's TLS",
    whenAbsent: 'public CAs',
    example: '"/etc/tlsfleet/corp-root.pem"',
  },
  'webhooks[].events': {
    meaning: 'what is told',
    whenAbsent: 'all',
    example: '["expiry", "rollout"]',
  },
  gates: {
    meaning: 'servers that rollouts may ask for a verdict: [rollouts](../rollouts.md#gates)',
    whenAbsent: 'none',
    example: '',
  },
  'gates[].origin': {
    meaning: 'scheme, host and port; http on loopback alone',
    example: '"https://prometheus.example.org:9090"',
  },
  'gates[].tokenFile': {
    meaning: 'sent as a bearer token',
    whenAbsent: 'none',
    example: '"/etc/tlsfleet/prometheus-token"',
  },
  'gates[].secretFile': {
    meaning: 'signs what a webhook is told',
    whenAbsent: 'unsigned',
    example: '"/etc/tlsfleet/gate-secret"',
  },
  'gates[].caFile': {
    meaning: 'roots of its TLS',
    whenAbsent: 'public CAs',
    example: '"/etc/tlsfleet/corp-root.pem"',
  },
  listen: { meaning: 'addresses of the three listeners, `host:port`', example: '' },
  'listen.operator': {
    meaning: 'operators, dashboard, API',
    whenAbsent: '`0.0.0.0:8443`',
    example: '"0.0.0.0:8443"',
  },
  'listen.agent': {
    meaning: 'agents, with client certificates',
    whenAbsent: '`0.0.0.0:8444`',
    example: '"0.0.0.0:8444"',
  },
  'listen.enroll': {
    meaning: 'agents that join',
    whenAbsent: '`0.0.0.0:8445`',
    example: '"0.0.0.0:8445"',
  },
}
