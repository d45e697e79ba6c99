// One `tlsfleet apply`: what its plan announced, when each node was switched, and whether what clients
// saw was announced.

import * as z from 'zod/mini'
import { PlanView, RolloutEventList, RolloutView } from '../../../shared/contract/operator-api.ts'
import type { LabFleet } from '../../support/lab-fleet.ts'
import type { Gap } from './observer.ts'

const Line = z.union([
  z.object({ type: z.literal('plan'), plan: PlanView }),
  z.object({ type: z.literal('rollout'), rollout: RolloutView }),
  z.object({ type: z.literal('event'), event: RolloutEventList.shape.events.def.element }),
  z.object({ type: z.literal('recap'), rollout: RolloutView }),
])

export interface Switching {
  readonly code: number
  /** For a test that fails. */
  readonly text: string
  readonly plan: PlanView
  readonly windows: readonly string[]
  /** Nodes in the order in which they were done. */
  readonly order: readonly string[]
  /** From the permit to the proof. */
  readonly spans: ReadonlyMap<string, { readonly fromMs: number; readonly toMs: number }>
  readonly startMs: number
  readonly endMs: number
}

export async function applySpec(
  fleet: LabFleet,
  spec: string,
  ...more: readonly string[]
): Promise<Switching> {
  const startMs = Date.now()
  const argv = ['--json', 'apply', '-f', fleet.specFile(spec), '--yes', ...more]
  const { code, stdout, stderr } = await fleet.cli(argv)
  const lines = stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => Line.parse(JSON.parse(line)))
  const plan = lines.flatMap(line => (line.type === 'plan' ? [line.plan] : []))[0]
  if (plan === undefined) throw new Error(`no plan: ${code}: ${stderr}`)
  const events = lines.flatMap(line => (line.type === 'event' ? [line.event] : []))
  const times = (kind: string) =>
    new Map(events.flatMap(one => (one.kind === kind ? [[one.node ?? '', one.atMs]] : [])))
  const permitted = times('node-permitted')
  const done = times('node-done')
  const reasons = events.flatMap(({ node, reason }) =>
    reason === undefined ? [] : [`${node ?? ''}: ${reason.message} (${reason.code})`],
  )
  return {
    code,
    text: [...reasons, stderr].join('\n'),
    plan,
    windows: plan.windows.map(window => window.code),
    order: [...done.keys()],
    spans: new Map(
      [...done].map(([node, toMs]) => [node, { fromMs: permitted.get(node) ?? toMs, toMs }]),
    ),
    startMs,
    endMs: Date.now(),
  }
}

/** Nodes of InfluxDB that change sides do so all at once, meta nodes before data nodes. */
export const TOGETHER: readonly string[] = [
  '--together',
  'influxdb-meta',
  'influxdb-data',
  '--acknowledge-downtime',
]

// Of these there is one each, and the plan says that it is restarted.
const SINGLE = ['kibana', 'prometheus', 'node-exporter', 'alertmanager']
const WINDOWS: Readonly<Record<string, readonly string[]>> = {
  'influxdb-meta': ['window-influxdb-meta-influxdb-meta', 'window-group-influxdb-meta'],
  influxdb: ['window-group-influxdb-data'],
  kibana: ['window-elasticsearch-kibana'],
}

/** What clients saw and the plan did not announce, in words. */
export function unannounced(
  { plan, windows }: Switching,
  gaps: ReadonlyMap<string, readonly Gap[]>,
): readonly string[] {
  const restarted = new Set(
    plan.nodes.flatMap(({ services }) =>
      services.filter(({ activation }) => activation === 'restart').map(({ service }) => service),
    ),
  )
  return [...gaps].flatMap(([name, found]) => {
    const isWindow = (WINDOWS[name] ?? []).some(code => windows.includes(code))
    const isRestart = SINGLE.includes(name) && [...restarted].some(service => service === name)
    return isWindow || isRestart ? [] : found.map(gap => describeGap(name, gap))
  })
}

export function describeGap(name: string, { fromMs, toMs, error }: Gap): string {
  return `${name}: ${toMs - fromMs} ms without an answer: ${error}`
}
