// Disks as operators, guides, other tools and crashes leave them, and desired states, for properties
// of whole passes. Built from the meaning of the files, not from random bytes.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { parse as parseToml } from 'smol-toml'
import { parseDocument } from 'yaml'
import { createMemoryCa } from './fake-controller.ts'
import type { MemoryNode } from './memory-node.ts'
import { STOCK_FILES, type Wish } from './memory-fleet.ts'

const GOLDEN = join(import.meta.dirname, '..', 'agent', 'services', 'golden')
const golden = (name: string) => readFileSync(join(GOLDEN, name), 'utf8')

export const CONF = '/etc/influxdb/influxdb.conf'
export const SCRAPE = '/etc/prometheus/prometheus.yml'
export const FLAGS = '/etc/default/prometheus'
export const WEB = '/etc/prometheus/web-config.yml'

/** A file, and whether an edit of it must be refused. */
interface Text {
  /** How it came about, for people. */
  readonly recipe: object
  readonly text: string
  readonly isBroken: boolean
}

export interface Disk {
  readonly influxdb: Text
  readonly scrape: Text
  readonly flags: Text
  readonly web: Text | undefined
  readonly modes: readonly {
    readonly path: string
    readonly mode: number
    readonly uid: number
    readonly gid: number
  }[]
  readonly leftovers: readonly Leftover[]
}

interface Leftover {
  readonly service: 'influxdb' | 'prometheus'
  readonly kind: 'empty' | 'torn key' | 'garbage' | 'staged file' | 'dangling link' | 'foreign link'
}

// Line ends, byte order marks, indentation, comments: what editors and tools do to any text.
type Edit = (text: string) => string
type Edits = Readonly<Record<string, Edit>>
const DRESSES: Edits = {
  plain: text => text,
  CRLF: text => text.replaceAll('\n', '\r\n'),
  BOM: text => `\uFEFF${text}`,
  'no last line end': text => text.trimEnd(),
  'empty lines at the end': text => `${text}\n\n\n`,
  'trailing blanks': text => text.replaceAll(/(?<=\S)$/gm, '  '),
  comments: text => `# by hand: ü 日本\n${text}# the end\n`,
}
const HTTP = /^\[http\]/m
const TOML_EDITS: Edits = {
  'upper-case table': text => text.replace(HTTP, '[HTTP]'),
  'https off': text => text.replace(HTTP, '[http]\n  https-enabled = false'),
  'upper-case key': text => text.replace(HTTP, '[http]\n  HTTPS-Enabled = true'),
  'other keys': text =>
    text.replace(HTTP, '[http]\n\tpprof-enabled = true # keep\n  realm = "a # b"'),
  'pair elsewhere': text => text.replace(HTTP, "[http]\n  https-certificate = '/etc/ssl/i.pem'"),
  'quoted table': text => text.replace(HTTP, '["http"]'),
  'more tables': text => `${text}\n[[udp]]\n  enabled = false\n  bind-address = ":8089"\n`,
  'without tls table': text => text.replace(/^\[tls\][^]*$/m, ''),
  'commented table': text => `${text}\n# [http]\n#   https-enabled = true\n`,
}
const TOML_BREAKS: Edits = {
  'table twice': text => `${text}\n[http]\n  enabled = true\n`,
  'table not closed': text => text.replace(/^\[(http|HTTP|"http")\]/m, '[http'),
  'text not closed': text => `${text}\nrealm = "unclosed\n`,
  'key twice': text => `${text}\n[twice]\na = 1\na = 1\n`,
}
const YAML_EDITS: Edits = {
  'scheme given': text =>
    text.replace(/^ {2}- job_name: ['"]prometheus['"]/m, line => `${line}\n    scheme: http`),
  'block list': text => text.replace("['localhost:9090']", "\n        - 'localhost:9090' # itself"),
  'remote write': text => `${text}\nremote_write:\n  - url: "https://else/where"   # keep\n`,
  'comment at key': text => text.replace(/^scrape_configs:/m, 'scrape_configs: # all of them'),
  'other quotes': text => text.replaceAll("'prometheus'", '"prometheus"'),
}
const YAML_BREAKS: Edits = {
  'key twice': text => `${text}\nglobal:\n  scrape_interval: 1s\n`,
  'list not closed': text => text.replace(/^scrape_configs:/m, 'scrape_configs: ['),
  tabs: text => text.replace(/^ {2}- job_name: node/m, '\t- job_name: node'),
}
const flags =
  (line: string): Edit =>
  text =>
    text.replace(/^ARGS=""/m, () => line)
const FLAG_EDITS: Edits = {
  'another flag': flags('ARGS="--web.enable-lifecycle"'),
  'single quotes': flags("ARGS='--storage.tsdb.retention.time=30d --log.level=info'"),
  'web config given': flags(`ARGS="--web.config.file=${WEB} --log.level=debug"`),
  'external url': flags('ARGS="--web.external-url=http://p.example.org:9090/"'),
  'other variables': flags('OTHER="a b"\nARGS=""\n#ARGS="--old"'),
  'twice, the last counts': flags('ARGS=""\nARGS="--log.level=warn"'),
}
const WEB_TEXTS: Readonly<Record<string, string>> = {
  passwords:
    'basic_auth_users:\n  admin: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay\n',
  http2: 'http_server_config:\n  http2: false # behind an old proxy\n',
  'another pair':
    'tls_server_config:\n  cert_file: /etc/ssl/old.pem\n  key_file: /etc/ssl/old.key\n',
  'a relative pair':
    'tls_server_config:\n  cert_file: old.pem\n  key_file: old.key\nhttp_server_config: { http2: true }\n',
  'a comment': '# nothing yet\n',
  nothing: '',
}

const nameIn = (edits: Edits) => fc.constantFrom(...Object.keys(edits))
const apply = (edits: Edits, name: string, text: string) => edits[name]?.(text) ?? text

/** Some of the edits in a row, and now and then a break that no parser takes. */
function edited(
  bases: Readonly<Record<string, string>>,
  edits: Edits,
  breaks: Edits,
  parses: (text: string) => boolean = () => true,
) {
  return fc
    .record({
      base: fc.constantFrom(...Object.keys(bases)),
      edits: fc.uniqueArray(nameIn(edits), { maxLength: 3 }),
      breaking:
        Object.keys(breaks).length === 0
          ? fc.constant(undefined)
          : fc.oneof(
              { weight: 11, arbitrary: fc.constant(undefined) },
              { weight: 1, arbitrary: nameIn(breaks) },
            ),
      dress: nameIn(DRESSES),
    })
    .map((recipe): Text => {
      const whole = recipe.edits.reduce(
        (text, name) => apply(edits, name, text),
        bases[recipe.base] ?? '',
      )
      const text = recipe.breaking === undefined ? whole : apply(breaks, recipe.breaking, whole)
      return { recipe, text: apply(DRESSES, recipe.dress, text), isBroken: !parses(text) }
    })
}

const modes = fc.array(
  fc.record({
    path: fc.constantFrom(
      CONF,
      SCRAPE,
      FLAGS,
      WEB,
      '/etc/influxdb/tls',
      '/etc/influxdb/tls/releases',
      '/etc/prometheus/tls',
    ),
    mode: fc.constantFrom(0o600, 0o640, 0o644, 0o700, 0o755, 0o666),
    uid: fc.constantFrom(0, 101, 102),
    gid: fc.constantFrom(0, 101, 102),
  }),
  { maxLength: 4 },
)

const leftovers = fc.array(
  fc.record<Leftover>({
    service: fc.constantFrom('influxdb', 'prometheus'),
    kind: fc.constantFrom(
      'empty',
      'torn key',
      'garbage',
      'staged file',
      'dangling link',
      'foreign link',
    ),
  }),
  { maxLength: 3 },
)

export const arbitraryDisk: fc.Arbitrary<Disk> = fc.record({
  influxdb: edited(
    {
      stock: STOCK_FILES.influxdbConf,
      converged: golden('influxdb-debian-1.6.7.after.conf'),
      guide: golden('influxdb-guide.conf'),
      'guide, converged': golden('influxdb-guide.after.conf'),
    },
    TOML_EDITS,
    TOML_BREAKS,
    isToml,
  ),
  scrape: edited(
    {
      stock: STOCK_FILES.prometheusYml,
      converged: golden('prometheus-debian-2.42.after.yml'),
    },
    YAML_EDITS,
    YAML_BREAKS,
    text => parseDocument(text).errors.length === 0,
  ),
  flags: edited({ stock: STOCK_FILES.defaultPrometheus }, FLAG_EDITS, {}).map(one => ({
    ...one,
    // To systemd carriage returns and a byte order mark are parts of names and values.
    text: one.text.replaceAll('\r', '').replace('\uFEFF', ''),
  })),
  web: fc.option(edited(WEB_TEXTS, { as: text => text }, {}), { nil: undefined }),
  modes,
  leftovers,
})

const CLIENT_CA = createMemoryCa(Date.UTC(2026, 10, 22)).certificatePem

export const arbitraryWish: fc.Arbitrary<Wish> = fc.record({
  dns: fc.constantFrom(
    ['n1', 'localhost'],
    ['localhost'],
    ['n1', 'alias.example.org', 'localhost'],
  ),
  lifetime: fc.constantFrom('1d', '90d', '365d'),
  clientAuth: fc.constantFrom('none', 'optional', 'required'),
  trust: fc.constant([CLIENT_CA]),
  services: fc.constantFrom(
    ['prometheus', 'influxdb'],
    ['influxdb', 'prometheus'],
    ['influxdb'],
    ['prometheus'],
  ),
})

// Some edits in a row break a file, too: a key that was there already, say.
function isToml(text: string): boolean {
  try {
    parseToml(text)
    return true
  } catch {
    return false
  }
}

/** Puts it on a node whose services start with it, as after a boot. */
export function layOut(node: MemoryNode, disk: Disk): void {
  node.files.put(CONF, disk.influxdb.text, { mode: 0o644, uid: 0, gid: 0 })
  node.files.put(SCRAPE, disk.scrape.text)
  node.files.put(FLAGS, disk.flags.text)
  if (disk.web !== undefined) node.files.put(WEB, disk.web.text, { mode: 0o640, gid: 102 })
  for (const [index, one] of disk.leftovers.entries()) leave(node, one, index)
  for (const { path, mode, uid, gid } of disk.modes) {
    const entry = node.tree.get(path)
    if (entry !== undefined) node.tree.set(path, { ...entry, owner: { mode, uid, gid } })
  }
  node.advance(60_000)
  node.reboot()
}

function leave(node: MemoryNode, { service, kind }: Leftover, index: number): void {
  const tls = `/etc/${service}/tls`
  const release = `${tls}/releases/00000000000000a${index}`
  const link = (target: string) =>
    node.tree.set(`${tls}/current`, {
      kind: 'symlink',
      target,
      owner: { mode: 0o777, uid: 0, gid: 0 },
      version: 1_000_000 + index,
      changedAtMs: 0,
    })
  node.files.put(`${tls}/releases/.placeholder`, '')
  node.tree.delete(`${tls}/releases/.placeholder`)
  switch (kind) {
    case 'empty':
      node.files.put(`${release}/x`, '')
      node.tree.delete(`${release}/x`)
      return
    case 'torn key':
      node.files.put(`${release}/key.pem`, '-----BEGIN PRIVATE KEY-----\nMIGH', { mode: 0o600 })
      return
    case 'garbage':
      node.files.put(`${release}/key.pem`, 'garbage')
      node.files.put(`${release}/chain.pem`, '-----BEGIN CERTIFICATE-----\nAAAA\n')
      return
    case 'staged file':
      node.files.put(`/etc/${service}/.tlsfleet-${service}.conf.new`, 'half of a fi')
      return
    case 'dangling link':
      link('releases/00000000000000ff')
      return
    case 'foreign link':
      link('/etc/ssl/certs')
  }
}

/** A disk in a few words. */
export function recipeOf({
  influxdb,
  scrape,
  flags: defaults,
  web,
  modes: owners,
  leftovers: left,
}: Disk) {
  return JSON.stringify({
    influxdb: influxdb.recipe,
    scrape: scrape.recipe,
    flags: defaults.recipe,
    web: web?.recipe,
    owners,
    left,
  })
}
