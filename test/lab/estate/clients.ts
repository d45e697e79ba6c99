// What clients of the estate see, and whether anything that they wrote is missing.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { TelegrafStatus } from '../../simulators/telegraf/status.ts'
import { ended } from '../ended.ts'
import { type Lab, until } from '../lab.ts'
import { basic, ELASTIC_PASSWORD } from './elastic.ts'
import { TELEGRAF_STATUS } from './influx.ts'
import { hostsOf, type Role } from './members.ts'
import { type Gap, type Order, State } from './observer.ts'

const OBSERVER = join(import.meta.dirname, 'observer.ts')
const INDEX = 'counted'
const ELASTIC = basic('elastic', ELASTIC_PASSWORD)

export interface Clients {
  /** As of at least now. */
  state(): Promise<State>
  /** Interruptions since a time, by what is watched: longest first. */
  gapsSince(sinceMs: number): Promise<ReadonlyMap<string, readonly Gap[]>>
  end(): Promise<void>
}

export async function startClients(lab: Lab, trustFile: string): Promise<Clients> {
  const directory = mkdtempSync(join(tmpdir(), 'estate-'))
  const [orderFile, stateFile] = [join(directory, 'order.json'), join(directory, 'state.json')]
  writeFileSync(orderFile, JSON.stringify(orderOf(trustFile)))
  const child = lab.spawn('ctl', [process.execPath, OBSERVER, orderFile, stateFile])
  child.stdout?.resume()
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const read = () => State.parse(JSON.parse(readFileSync(stateFile, 'utf8')))
  const state = async () => {
    if (child.exitCode !== null) throw new Error(`the client ended: ${said}`)
    const before = read()
    return await until(
      () => {
        const now = read()
        // Every watch has been asked once more, so nothing that lasts is unseen.
        const isNew = Object.entries(now.watches).every(([name, seen]) => {
          const old = before.watches[name]
          return seen.answered > (old?.answered ?? 0) && seen.answered > 0
        })
        return isNew && now.documents.acknowledged > before.documents.acknowledged ? now : undefined
      },
      { what: `every client has an answer; ${said}`, everyMs: 100, timeoutMs: 240_000 },
    )
  }
  await until(() => read().documents.acknowledged > 0, { what: 'clients are at work' })
  return {
    state,
    gapsSince: async sinceMs => {
      const { watches, documents } = await state()
      const all = Object.entries({ ...watches, documents })
      return new Map(
        all.flatMap(([name, { gaps }]) => {
          const found = gaps.filter(gap => gap.toMs >= sinceMs)
          const sorted = found.toSorted((a, b) => b.toMs - b.fromMs - (a.toMs - a.fromMs))
          return sorted.length === 0 ? [] : [[name, sorted]]
        }),
      )
    },
    end: async () => {
      await ended(child)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function orderOf(trustFile: string): Order {
  const at = (role: Role, port: number) => hostsOf(role).map(host => `${host}:${port}`)
  const watch = (role: Role, port: number, path: string) => ({
    hosts: at(role, port),
    path,
    statuses: [200],
  })
  const query = `/query?db=telegraf&q=${encodeURIComponent('SELECT count(n) FROM numbered')}`
  return {
    trustFile,
    watches: {
      'influxdb-meta': {
        ...watch('influxdb-meta', 8091, '/status'),
        pattern: '"leader":"n\\d:8089"',
      },
      influxdb: { ...watch('influxdb', 8086, query), pattern: '"count"' },
      elasticsearch: {
        ...watch('elasticsearch', 9200, `/${INDEX}/_count`),
        authorization: ELASTIC,
      },
      kibana: watch('kibana', 5601, '/api/status'),
      prometheus: watch('monitoring', 9090, '/-/ready'),
      'node-exporter': watch('monitoring', 9100, '/'),
      alertmanager: watch('monitoring', 9093, '/-/ready'),
    },
    documents: { hosts: at('elasticsearch', 9200), authorization: ELASTIC, index: INDEX },
  }
}

export interface Reading {
  readonly scheme: 'http' | 'https'
  readonly trustFile: string
}

/** Documents of the client that are there, of those that were acknowledged before. */
export async function countedDocuments(
  lab: Lab,
  clients: Clients,
  reading: Reading,
): Promise<{ readonly acknowledged: number; readonly found: number }> {
  const { acknowledged } = (await clients.state()).documents
  const ids = await idsIn(lab, INDEX, reading)
  return { acknowledged, found: ids.filter(id => Number(id) <= acknowledged).length }
}

const Hits = z.object({
  hits: z.object({
    hits: z.array(
      z.object({
        _id: z.string(),
        _source: z.object({ sim: z.optional(z.object({ sequence: z.number() })) }),
      }),
    ),
  }),
})

async function search(lab: Lab, index: string, reading: Reading) {
  const [host = ''] = hostsOf('elasticsearch')
  const url = `${reading.scheme}://${host}:9200/${index}/_search?size=100000`
  const answer = await lab.http('ctl', url, {
    headers: { authorization: ELASTIC },
    ...(reading.scheme === 'https' ? { caFile: reading.trustFile } : {}),
  })
  if (answer.status !== 200) throw new Error(`${url}: ${answer.status} ${answer.error}`)
  return Hits.parse(JSON.parse(answer.body)).hits.hits
}

async function idsIn(lab: Lab, index: string, reading: Reading): Promise<readonly string[]> {
  return (await search(lab, index, reading)).map(({ _id }) => _id)
}

/** Numbers of metricbeat's events, up to the last that arrived, that are not there. */
export async function missingEvents(
  lab: Lab,
  reading: Reading,
): Promise<{ readonly last: number; readonly missing: readonly number[] }> {
  const found = await search(lab, 'metricbeat-*', reading)
  const numbers = new Set(found.flatMap(({ _source }) => _source.sim?.sequence ?? []))
  const last = Math.max(0, ...numbers)
  const all = Array.from({ length: last }, (_, index) => index + 1)
  return { last, missing: all.filter(number => !numbers.has(number)) }
}

/** Of telegraf, and how many points each data node has: of one moment in which nothing is on its way. */
export async function telegrafAccount(
  lab: Lab,
  reading: Reading,
): Promise<{ readonly status: TelegrafStatus; readonly points: readonly number[] }> {
  const [telegraf = ''] = hostsOf('telegraf')
  const read = async () =>
    z.parse(TelegrafStatus, JSON.parse(await lab.readFile(telegraf, TELEGRAF_STATUS)))
  let last: Awaited<ReturnType<typeof telegrafAccount>> | undefined
  const look = async () => {
    await lab.freeze(telegraf)
    try {
      const points = await Promise.all(
        hostsOf('influxdb').map(host => pointsOf(lab, host, reading)),
      )
      last = { status: await read(), points }
      return points.every(count => count === last?.status.outputs[0]?.written) ? last : undefined
    } finally {
      await lab.thaw(telegraf)
    }
  }
  try {
    return await until(look, { what: 'all that was written is on both nodes', everyMs: 300 })
  } catch (error) {
    if (last === undefined) throw error
    return last
  }
}

async function pointsOf(lab: Lab, host: string, { scheme, trustFile }: Reading): Promise<number> {
  const query = encodeURIComponent('SELECT count(n) FROM numbered')
  const url = `${scheme}://${host}:8086/query?db=telegraf&q=${query}`
  const { body } = await lab.http('ctl', url, scheme === 'https' ? { caFile: trustFile } : {})
  return Number(/,(\d+)\]\]/.exec(body)?.[1] ?? 0)
}
