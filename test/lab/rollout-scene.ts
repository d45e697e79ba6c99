// What an operator does with rollouts in a lab, and what the controller's own store says of them: its
// log of events, who holds a lease, and every document that was ever given out under a generation.

import { DatabaseSync } from 'node:sqlite'
import { NodeView, RolloutList, type RolloutView } from '../../shared/contract/operator-api.ts'
import { type GroupBudget, GroupList, StepList } from '../../shared/contract/rollout-verbs.ts'
import type { LabFleet } from '../support/lab-fleet.ts'
import { type Lab, until } from './lab.ts'

export interface RolloutScene {
  /** Applies without following; resolves with the id of the rollout. */
  readonly start: (spec: string) => Promise<string>
  readonly view: (id: string) => Promise<RolloutView>
  /** Resolves with the first view of which it holds; the last one is in the error. */
  readonly untilView: (
    id: string,
    what: string,
    isIt: (view: RolloutView) => boolean,
  ) => Promise<RolloutView>
  readonly untilEnded: (id: string) => Promise<RolloutView>
  /** What each step waits for. */
  readonly steps: (id: string) => Promise<StepList>
  readonly group: (name: string) => Promise<GroupBudget>
  /** Asks for a verb that makes another rollout; resolves with its id. */
  readonly follow: (id: string, verb: 'rollback' | 'retry') => Promise<string>
  readonly node: (name: string) => Promise<NodeView>
  /** As the store has them, which is there also while no controller runs. */
  readonly log: StoreReader
}

export interface RolloutLogEvent {
  readonly version: number
  readonly kind: string
  readonly node: string | undefined
  readonly generation: number | undefined
}

export interface StoredLease {
  readonly group: string
  readonly node: string
  readonly purpose: string
  readonly generation: number
}

export interface StoredDocument {
  readonly node: string
  readonly generation: number
  readonly digest: string
  readonly content: string
  readonly mode: string
}

export interface StoreReader {
  /** Id of the newest rollout. */
  readonly newest: () => string | undefined
  readonly version: (rollout: string) => number
  readonly events: (rollout: string) => readonly RolloutLogEvent[]
  readonly leases: () => readonly StoredLease[]
  readonly documents: () => readonly StoredDocument[]
  /** The controller's own clock, in milliseconds: it stands while no controller runs. */
  readonly time: () => number
  readonly close: () => void
}

const ENDED: readonly string[] = ['succeeded', 'partial', 'failed', 'aborted', 'superseded']
const TIMEOUT_MS = 300_000

export function createRolloutScene(fleet: LabFleet): RolloutScene {
  const log = openStore(fleet.database)
  const view = async (id: string): Promise<RolloutView> => {
    const { rollouts } = RolloutList.parse(await fleet.look(['rollout', 'ls']))
    const found = rollouts.find(rollout => rollout.id === id)
    if (found === undefined) throw new Error(`there is no rollout ${id}`)
    return found
  }
  const untilView: RolloutScene['untilView'] = async (id, what, isIt) => {
    let last = ''
    const look = async () => {
      const seen = await view(id)
      last = JSON.stringify(seen)
      return isIt(seen) ? seen : undefined
    }
    try {
      return await until(look, { what, everyMs: 300, timeoutMs: TIMEOUT_MS })
    } catch (error) {
      throw new Error(`${String(error)}: ${last}`)
    }
  }
  return {
    log,
    view,
    untilView,
    untilEnded: id => untilView(id, `rollout ${id} ends`, ({ status }) => ENDED.includes(status)),
    async start(spec) {
      const file = fleet.specFile(spec)
      const argv = ['--json', 'apply', '-f', file, '--yes', '--quiet', '--detach']
      const { code, stdout, stderr } = await fleet.cli(argv)
      if (code !== 0) throw new Error(`apply: ${code}: ${stdout}${stderr}`)
      const [line = ''] = stdout.split('\n')
      const told: { readonly rollout: { readonly id: string } } = JSON.parse(line)
      return told.rollout.id
    },
    steps: async id => StepList.parse(await fleet.look(['rollout', 'show', id])),
    async group(name) {
      const { groups } = GroupList.parse(await fleet.look(['group', 'show', name]))
      const [found] = groups
      if (found === undefined) throw new Error(`there is no group ${name}`)
      return found
    },
    async follow(id, verb) {
      const child = await fleet.cliJson(['rollout', verb, id, '--yes'])
      return String(child['id'])
    },
    node: async name => NodeView.parse(await fleet.look(['node', 'show', name])),
  }
}

function openStore(file: string): StoreReader {
  // A reader of its own: it sees what is committed, and is in nobody's way.
  const database = new DatabaseSync(file, { readOnly: true, timeout: 30_000 })
  const version = database.prepare('select version from rollouts where id = ?')
  const events = database.prepare(
    'select version, event_json from rollout_events where rollout = ? order by version',
  )
  const leases = database.prepare(
    'select group_name, node, purpose, generation from leases order by group_name, node',
  )
  const documents = database.prepare(
    'select node, generation, digest, content_digest, mode from desired_states order by node',
  )
  const newest = database.prepare('select id from rollouts order by sequence desc limit 1')
  const time = database.prepare('select time_ms from controller_time')
  return {
    time: () => Number(time.get()?.['time_ms'] ?? 0),
    newest: () => {
      const id = newest.get()?.['id']
      return id === undefined ? undefined : String(id)
    },
    version: id => Number(version.get(id)?.['version'] ?? 0),
    events: id =>
      events.all(id).map(row => {
        const event: { kind: string; node?: string; generation?: number } = JSON.parse(
          String(row['event_json']),
        )
        const { kind, node, generation } = event
        return { version: Number(row['version']), kind, node, generation }
      }),
    leases: () =>
      leases.all().map(row => ({
        group: String(row['group_name']),
        node: String(row['node']),
        purpose: String(row['purpose']),
        generation: Number(row['generation']),
      })),
    documents: () =>
      documents.all().map(row => ({
        node: String(row['node']),
        generation: Number(row['generation']),
        digest: String(row['digest']),
        content: String(row['content_digest']),
        mode: String(row['mode']),
      })),
    close: () => database.close(),
  }
}

/** Nodes enrolled, their agents running, and nothing managed yet. */
export async function joinAll(fleet: LabFleet, lab: Lab, labels: readonly string[]): Promise<void> {
  for (const node of lab.nodes) {
    const { code, stderr } = await fleet.enroll(node, await fleet.addNode(node, { labels }))
    if (code !== 0) throw new Error(`${node}: ${stderr}`)
  }
  await Promise.all(lab.nodes.map(node => fleet.startAgent(node)))
  await fleet.untilAll('idle')
}

/** How often the unit was started since the node booted, by whomever. */
export async function startsOf(lab: Lab, node: string, unit: string): Promise<number> {
  // What the manager has said by now is read, also where the journal is behind.
  const log = `journalctl --sync; journalctl -u ${unit} -b --no-pager -o cat`
  return (await lab.output(node, ['sh', '-ec', log]))
    .split('\n')
    .filter(line => line.startsWith('Started ')).length
}

/** What a unit did, and what it said: that a listener was gone does not tell why. */
export async function unitTold(lab: Lab, node: string, unit: string): Promise<string> {
  const properties = 'ActiveState,SubState,Result,NRestarts,InvocationID,ExecMainStartTimestamp'
  const show = `systemctl show ${unit} --property=${properties}`
  const log = `journalctl -u ${unit} -b --no-pager -o short-monotonic | tail -n 100`
  const { stdout, stderr } = await lab.exec(node, ['sh', '-c', `${show}; df -h /; ${log}`])
  return `--- ${unit} on ${node}\n${stdout}${stderr}`
}
