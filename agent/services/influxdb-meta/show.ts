// What `influxd-ctl show` says of the cluster, where the program is installed. It prints two tables in
// one of two layouts (facts: influx-telegraf-prometheus, 2(f)), so cells are found by the headers. Told
// and never acted on: a member may be down for reasons of its own.

import { dirname } from 'node:path/posix'
import type { Reason } from '../../../shared/contract/schema.ts'
import { parseAddress } from '../addresses.ts'
import { isOn, type Settings } from '../influxdb/settings.ts'
import { because } from '../reasons.ts'
import type { Input, Seen } from '../service.ts'

const MAX_AGE_MS = 300_000
const TIMEOUT_MS = 10_000

/** `program` is influxd-meta; undefined where the answer would need credentials. */
export function showInput(
  program: string,
  settings: Settings,
): (Input & { readonly kind: 'command' }) | undefined {
  if (isOn(settings.effective('meta', 'auth-enabled'))) return undefined
  const host = hostOf(settings)
  if (host === undefined) return undefined
  const isTls = isOn(settings.effective('meta', 'https-enabled'))
  const isInsecure = isOn(settings.effective('meta', 'https-insecure-tls'))
  const argv = [
    `${dirname(program)}/influxd-ctl`,
    '-bind',
    host,
    ...(isTls ? ['-bind-tls'] : []),
    ...(isTls && isInsecure ? ['-k'] : []),
    'show',
  ]
  const dependsOn = [settings.path]
  return {
    kind: 'command',
    argv,
    asService: true,
    dependsOn,
    maxAgeMs: MAX_AGE_MS,
    timeoutMs: TIMEOUT_MS,
  }
}

/** Nothing where there is no such program, or where it does not get an answer: `/status` tells that. */
export function showNotices(
  input: ReturnType<typeof showInput>,
  settings: Settings,
  seen: Seen,
): readonly Reason[] {
  const text = answerIn(input, seen)
  if (text === undefined) return []
  const members = readShow(text)
  const silent = members
    .filter(({ version }) => version === '')
    .map(({ kind, address }) =>
      because(
        'member-without-version',
        `the meta nodes hear nothing of ${kind} node ${address}: it is down, or its TLS settings do not fit theirs`,
      ),
    )
  return [...silent, ...notListed(members, settings)]
}

/**
 * How many meta nodes its cluster has, itself among them; 0: it has joined none. Undefined: nobody said, or
 * not in words that are known.
 */
export function metaNodesIn(input: ReturnType<typeof showInput>, seen: Seen): number | undefined {
  const text = answerIn(input, seen)
  if (text === undefined || !/^Meta Nodes\s*$/m.test(text)) return undefined
  return readShow(text).filter(({ kind }) => kind === 'meta').length
}

function answerIn(input: ReturnType<typeof showInput>, seen: Seen): string | undefined {
  const ran = input === undefined ? undefined : seen.command(input.argv)
  return ran?.kind === 'ran' && ran.code === 0 ? ran.stdout : undefined
}

export interface ClusterMember {
  readonly kind: 'data' | 'meta'
  /** As others reach it. */
  readonly address: string
  /** Empty: none is reported. */
  readonly version: string
}

/** Lines that are no rows of a table with an address and a version are passed over. */
export function readShow(text: string): readonly ClusterMember[] {
  const members: ClusterMember[] = []
  let kind: ClusterMember['kind'] | undefined
  let columns: readonly Column[] = []
  for (const line of text.split('\n')) {
    const title = /^(Data|Meta) Nodes\s*$/.exec(line)?.[1]
    if (title !== undefined || line.trim() === '') {
      kind = title === 'Data' ? 'data' : title === 'Meta' ? 'meta' : undefined
      columns = []
    } else if (kind === undefined || /^=+\s*$/.test(line)) continue
    else if (columns.length === 0) columns = columnsIn(line)
    else members.push(...memberIn(line, columns, kind))
  }
  return members
}

interface Column {
  readonly name: string
  readonly start: number
  readonly end: number
}

// Names hold single blanks; cells are as wide as the widest of their column.
function columnsIn(header: string): readonly Column[] {
  const found = [...header.matchAll(/\S+(?: \S+)*/g)]
  return found.map((match, index) => ({
    name: match[0],
    start: match.index,
    end: found[index + 1]?.index ?? Number.POSITIVE_INFINITY,
  }))
}

function memberIn(
  line: string,
  columns: readonly Column[],
  kind: ClusterMember['kind'],
): readonly ClusterMember[] {
  const cell = (name: string): string | undefined => {
    const column = columns.find(one => one.name === name)
    return column === undefined ? undefined : line.slice(column.start, column.end).trim()
  }
  const address = cell('HTTP Address') ?? cell('TCP Address')
  const version = cell('Version')
  if (address === undefined || version === undefined) return []
  // A row that does not stand under its header.
  const isTorn = parseAddress(address) === undefined || /\s/.test(version)
  return isTorn ? [] : [{ kind, address, version }]
}

function notListed(members: readonly ClusterMember[], settings: Settings): readonly Reason[] {
  const own = hostOf(settings)
  const metas = members.filter(({ kind }) => kind === 'meta')
  const hostname = settings.effective('', 'hostname')
  // A node that does not know its own name cannot be looked for.
  if (own === undefined || metas.length === 0 || typeof hostname !== 'string' || hostname === '')
    return []
  // Operators add nodes by a short name or a long one.
  if (metas.some(({ address }) => firstLabel(address) === firstLabel(own))) return []
  const message = `the cluster does not count ${own} among its meta nodes: ${metas.map(({ address }) => address).join(', ')}`
  return [because('member-not-listed', message)]
}

/** `host:port` of this node. */
function hostOf(settings: Settings): string | undefined {
  const bind = settings.effective('meta', 'http-bind-address') ?? ':8091'
  const address = typeof bind === 'string' ? parseAddress(bind) : undefined
  if (address === undefined) return undefined
  const hostname = settings.effective('', 'hostname')
  const host = typeof hostname === 'string' && hostname !== '' ? hostname : 'localhost'
  return `${host}:${address.port}`
}

function firstLabel(address: string): string {
  return address.toLowerCase().replace(/[.:].*$/, '')
}
