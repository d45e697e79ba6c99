// Notices of drivers.

import type { Explanations } from './explanation.ts'

export const DRIVER_NOTICES: Explanations = {
  'absence-told': [
    'The service restarts, and its cluster is told so before and after.',
    'Nothing. While the node restarts, Elasticsearch allocates primary shards only; the restart of the next node waits until the cluster is as well as before, five minutes at most.',
  ],
  'absence-owed': [
    'The cluster was told that a node restarts, and not yet that it is back: it does not build copies of shards anew.',
    'Look at the node: its agent tries with each pass, and after ten minutes another member of its group does. By hand: set `cluster.routing.allocation.enable` and `cluster.metadata.tlsfleet_absence_*` of the cluster settings to null, then `tlsfleet group forgive`.',
  ],
  'guide-key-ignored': [
    'A key from a guide stands in the file, and the product ignores it.',
    'Remove the key if it confuses; the product does not read it.',
  ],
  'beat-restart-panics': [
    'This version of a Beat ends in a panic when it restarts itself for a new certificate.',
    'Upgrade the Beat, or switch its own restart on new certificates off (`ssl.restart_on_cert_change`). tlsfleet restarts it through systemd.',
  ],
  'fleet-fingerprint': [
    'Agents of Elastic Fleet are told a CA by its fingerprint, which another CA does not have.',
    'Give the agents of Elastic Fleet the new fingerprint, or the CA itself, before the certificate changes.',
  ],
  'cluster-left-on': [
    'Connections between data nodes still use a certificate that is not renewed any more.',
    'Say with the option `cluster` in the fleet spec what shall be, or renew that certificate by hand.',
  ],
  'output-mixed': [
    'One block writes to this fleet and to others with a trust of their own, so it is left alone.',
    'Split the block by hand: servers of the fleet in one, all others in another.',
  ],
  'output-test-failed': [
    "The product's own test of its connections failed.",
    "Run the product's own test of its outputs on the node; the message has what it said. Look at the server, its name and its CA.",
  ],
  'guide-table-ignored': [
    'A table from a guide stands in the file, and the product ignores it.',
    'Remove the table if it confuses; the product does not read it.',
  ],
  'listener-not-managed': [
    'Another listener of the product has TLS of its own, which is left alone.',
    'Renew the certificate of that listener by hand, or take its TLS out.',
  ],
  'subscriber-unverified': [
    'A connection to other servers is not verified, and is left alone.',
    'Give the connection a CA, and remove its switch that turns verification off.',
  ],
  'raft-no-leader': [
    'The Raft group of the node has no leader that it knows.',
    'Look at all meta nodes: are they up, and do they speak the same scheme with each other? `influxd-ctl show` tells.',
  ],
  'raft-no-peers': [
    'The meta node has joined no cluster.',
    'Join the node to its cluster with `influxd-ctl join`, if it belongs to one.',
  ],
  'member-without-version': [
    'The meta nodes hear nothing of a member: it is down, or its TLS settings do not fit theirs.',
    'Look at that member: is it up, is its TLS the same as that of the others?',
  ],
  'member-not-listed': [
    'The cluster does not count the node among its meta nodes.',
    'Join the node to the cluster, or remove it from the group in the fleet spec.',
  ],
  'status-unreadable': [
    'The product answers, but not as it should.',
    "Ask the product's status address by hand. A proxy or another program may answer at this port.",
  ],
  'guide-leftover': [
    'A certificate or key from a guide is no longer used and can be removed.',
    'Remove the file that the message names once the change has held. A key that is not used is only a risk.',
  ],
  'transport-plaintext': [
    'The nodes of the cluster talk to each other without TLS.',
    'Have TLS between the nodes of the cluster switched on with `transport: manage` and `--together` ([its page](products/elasticsearch.md)), or set it up yourself.',
  ],
  'transport-kept': [
    'TLS between the nodes of Elasticsearch is set up with certificates of somebody else, which stay.',
    'Nothing; their end is for whoever made them to watch. Say `transport: require` to be without the notice.',
  ],
  'transport-no-way-back': [
    'Security is switched on in the configuration and TLS between the nodes is not, with which Elasticsearch does not start: the change cannot be taken back.',
    'Nothing, if security was switched on for this change. Have a backup, and `xpack.security.enabled: false` at hand for the way back.',
  ],
  'cluster-unseen': [
    'The agent has no credentials for Elasticsearch, so that its node has found its cluster is not proven.',
    'Give the agent credentials (`[credentials.elasticsearch]` in `agent.toml`), or look at `_cat/nodes` yourself.',
  ],
  'open-without-credentials': [
    'The product answers without credentials.',
    "Switch the product's authentication on, unless everybody who reaches the port may do everything.",
  ],
  'credentials-refused': [
    'The product does not accept the credentials that the node was given for questions.',
    'On a node: give the agent credentials that the product accepts. With `tlsfleet elastic`: check `--user` and the password, or the API key.',
  ],
  'cluster-red': [
    'The cluster of the node misses shards of some index.',
    'Repair the cluster first: no rollout begins in a red group unless an operator starts it.',
  ],
  'enrollment-tokens': [
    'Enrollment tokens name a CA that has not issued the certificate that is served.',
    'Make new enrollment tokens; those that were made before name the old CA.',
  ],
  'pem-for-fips': [
    'With FIPS 140 the product reads PEM files only.',
    'Nothing: files are written as PEM because PKCS#12 is not read under FIPS 140.',
  ],
  'cluster-table-on-oss': [
    'A table of the Enterprise edition stands in the file of the open source edition.',
    'Remove the table, or install the Enterprise edition: the open source edition does not read it.',
  ],
  'tls-minimum-unsupported': [
    'This version cannot be told a lowest TLS version.',
    'Upgrade the product if a lowest version must be enforced; it takes its own default until then.',
  ],
  'stricter-minimum-kept': [
    'The file demands a higher TLS version than is wanted, and keeps it.',
    'Nothing. Lower it in the file by hand only if old clients must connect.',
  ],
  'scrape-job-mixed': [
    'The targets of a scrape job do not all serve https of one CA, so it is left alone.',
    'Split the job by hand: targets with https of one CA in one job, all others in another.',
  ],
  'scrape-job-relabelled': [
    'A scrape job rewrites addresses or schemes of its targets, so it is left alone.',
    'Change scheme and CA of this job by hand; what it rewrites cannot be followed.',
  ],
  'scrape-job-discovered': [
    'The targets of a scrape job are discovered, so it is not known what they serve.',
    'Change scheme and CA of this job by hand, or list the targets.',
  ],
  'scrape-config-elsewhere': [
    'Scrape jobs in other files are not looked at.',
    'Change scheme and CA of those jobs by hand, or move them to the main file.',
  ],
  'scrape-config-not-found': [
    'The file with the scrape jobs was not found, so they are left alone.',
    'Name the file with `--config.file` of the unit, and see that it exists.',
  ],
  'gossip-tls-left': [
    'The connections between the members of a cluster have TLS of their own.',
    'Renew what those connections use by hand; tlsfleet manages the web listener.',
  ],
  'external-url-not-editable': [
    'The external address should be https, but the flag stands where it cannot be edited.',
    'Change the flag in the unit by hand to `https`.',
  ],
}
