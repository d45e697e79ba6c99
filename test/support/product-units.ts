// Units of the products that Debian does not package, as their vendors' packages bring them: for nodes
// of the lab, and for sandbox nodes, which have another root and one account.

export type UnitService = 'influxdb-meta' | 'telegraf' | 'elasticsearch' | 'kibana' | 'metricbeat'

export interface UnitPlace {
  /** In front of every path that the service itself sees. */
  readonly root?: string
  /** In place of every account of the product. */
  readonly account?: string
}

export function productUnit(service: UnitService, place: UnitPlace = {}): string {
  const { root = '', account } = place
  const asRoot = account === undefined ? '' : `User=${account}\n`
  return UNITS[service]({ root, name: ordinary => account ?? ordinary, asRoot })
}

interface Text {
  readonly root: string
  /** Of an account, for that of the product. */
  readonly name: (ordinary: string) => string
  /** Of a unit that names no user. */
  readonly asRoot: string
}

const INSTALL = '[Install]\nWantedBy=multi-user.target\n'
const NETWORK = 'Wants=network-online.target\nAfter=network-online.target\n'

// Environment files are read by the service manager, which knows the root.
const UNITS: Readonly<Record<UnitService, (text: Text) => string>> = {
  // The vendor's text is not public; this is that of the data node with the names changed.
  'influxdb-meta': ({ root, name }) => `[Unit]
Description=InfluxDB Enterprise meta node
After=network-online.target

[Service]
User=${name('influxdb')}
Group=${name('influxdb')}
LimitNOFILE=65536
EnvironmentFile=-/etc/default/influxdb-meta
ExecStart=${root}/usr/bin/influxd-meta -config ${root}/etc/influxdb/influxdb-meta.conf
KillMode=control-group
Restart=on-failure

${INSTALL}`,

  telegraf: ({ root, name }) => `[Unit]
Description=Telegraf
Documentation=https://github.com/influxdata/telegraf
${NETWORK}
[Service]
Type=notify
NotifyAccess=all
EnvironmentFile=-/etc/default/telegraf
User=${name('telegraf')}
ImportCredential=telegraf.*
ExecStart=${root}/usr/bin/telegraf -config ${root}/etc/telegraf/telegraf.conf -config-directory ${root}/etc/telegraf/telegraf.d $TELEGRAF_OPTS
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartForceExitStatus=SIGPIPE
KillMode=mixed
LimitMEMLOCK=8M:8M
PrivateMounts=true

${INSTALL}`,

  elasticsearch: ({ root, name }) => `[Unit]
Description=Elasticsearch
Documentation=https://www.elastic.co
${NETWORK}
[Service]
Type=notify
NotifyAccess=all
RuntimeDirectory=elasticsearch
PrivateTmp=true
Environment=ES_HOME=${root}/usr/share/elasticsearch
Environment=ES_PATH_CONF=${root}/etc/elasticsearch
Environment=PID_DIR=${root}/var/run/elasticsearch
Environment=ES_SD_NOTIFY=true
EnvironmentFile=-/etc/default/elasticsearch
WorkingDirectory=${root}/usr/share/elasticsearch
User=${name('elasticsearch')}
Group=${name('elasticsearch')}
ExecStart=${root}/usr/share/elasticsearch/bin/systemd-entrypoint -p \${PID_DIR}/elasticsearch.pid --quiet
StandardOutput=journal
StandardError=inherit
LimitNOFILE=65535
TimeoutStopSec=0
KillSignal=SIGTERM
KillMode=process
SendSIGKILL=no
SuccessExitStatus=143
TimeoutStartSec=900

${INSTALL}`,

  kibana: ({ root, name }) => `[Unit]
Description=Kibana
Documentation=https://www.elastic.co
${NETWORK}
[Service]
Type=simple
User=${name('kibana')}
Group=${name('kibana')}
PrivateTmp=true
Environment=KBN_HOME=${root}/usr/share/kibana
Environment=KBN_PATH_CONF=${root}/etc/kibana
EnvironmentFile=-/etc/default/kibana
EnvironmentFile=-/etc/sysconfig/kibana
ExecStart=${root}/usr/share/kibana/bin/kibana
Restart=on-failure
RestartSec=3
StartLimitBurst=3
StartLimitInterval=60
WorkingDirectory=${root}/usr/share/kibana
StandardOutput=journal
StandardError=inherit
RuntimeDirectory=kibana

${INSTALL}`,

  metricbeat: ({ root, asRoot }) => `[Unit]
Description=Metricbeat is a lightweight shipper for metrics.
Documentation=https://www.elastic.co/beats/metricbeat
${NETWORK}
[Service]
${asRoot}UMask=0027
Environment="GODEBUG='madvdontneed=1'"
Environment="BEAT_LOG_OPTS="
Environment="BEAT_CONFIG_OPTS=-c ${root}/etc/metricbeat/metricbeat.yml"
Environment="BEAT_PATH_OPTS=${beatPaths(root)}"
ExecStart=${root}/usr/share/metricbeat/bin/metricbeat --environment systemd $BEAT_LOG_OPTS $BEAT_CONFIG_OPTS $BEAT_PATH_OPTS
Restart=always

${INSTALL}`,
}

/** What the package's /usr/bin/metricbeat adds to the program, and its unit as well. */
export function beatPaths(root = ''): string {
  return [
    `--path.home ${root}/usr/share/metricbeat`,
    `--path.config ${root}/etc/metricbeat`,
    `--path.data ${root}/var/lib/metricbeat`,
    `--path.logs ${root}/var/log/metricbeat`,
  ].join(' ')
}
