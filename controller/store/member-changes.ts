// Tells which nodes' members (see RolloutMember) were written, and of which nodes something that groups
// are made from, by whatever statement: triggers of this connection alone call back. Nothing of it is
// stored. What other connections have written shows in the number that SQLite keeps for it, and puts
// everything in doubt.

import type { DatabaseSync } from 'node:sqlite'
import { type ChangeLog, createChangeLog } from '../rollout/change-log.ts'

export interface MemberChanges {
  readonly members: ChangeLog
  /** See `Nodes.changedSince`. */
  readonly nodes: ChangeLog
  /** At the beginning of a transaction. True: somebody else has written since the last one. */
  begin(): boolean
  /** The transaction has come to nothing: what it wrote, and somebody may have read, is not so. */
  rollBack(): void
}

// The times at which a node was seen are left out: they change all the time, and decide nothing.
const TRIGGERS = ['reports', 'desired_states', 'generations'].flatMap(table => [
  on(`insert on main.${table}`, 'node', 'new'),
  on(`update on main.${table}`, 'node', 'new'),
  on(`delete on main.${table}`, 'node', 'old'),
])
const NODE_TRIGGERS = [
  on('insert on main.nodes', 'name', 'new'),
  on('update of enrolled_at_ms on main.nodes', 'name', 'new'),
  on('delete on main.nodes', 'name', 'old'),
]
// What groups are made from. Documents are given out all the time, each with the revision of its rollout.
const GROUP_TRIGGERS = [
  on('insert on main.nodes', 'name', 'new', 'note_node'),
  on('update of labels_json, names_json on main.nodes', 'name', 'new', 'note_node'),
  on('delete on main.nodes', 'name', 'old', 'note_node'),
  on('insert on main.desired_states', 'node', 'new', 'note_node'),
  on(
    'update of revision on main.desired_states when old.revision is not new.revision',
    'node',
    'new',
    'note_node',
  ),
  on('delete on main.desired_states', 'node', 'old', 'note_node'),
]
// The epoch is the least generation of every node.
const EPOCH_TRIGGERS = ['insert', 'update'].map(
  verb => `${verb} on main.settings when new.name = 'epoch' begin select note_all_members(); end`,
)

function on(
  event: string,
  column: string,
  row: 'new' | 'old',
  told: 'note_member' | 'note_node' = 'note_member',
): string {
  return `${event} begin select ${told}(${row}.${column}); end`
}

export function watchMembers(database: DatabaseSync): MemberChanges {
  const logs = { members: createChangeLog(), nodes: createChangeLog() }
  const { members, nodes } = logs
  database.function('note_member', node => {
    members.note(String(node))
    return null
  })
  database.function('note_node', node => {
    nodes.note(String(node))
    return null
  })
  database.function('note_all_members', () => {
    members.noteAll()
    return null
  })
  const triggers = [...TRIGGERS, ...NODE_TRIGGERS, ...GROUP_TRIGGERS, ...EPOCH_TRIGGERS]
  for (const [index, trigger] of triggers.entries())
    database.exec(`create temp trigger member_change_${index} after ${trigger}`)
  const version = database.prepare('pragma data_version')
  let seen = version.get()?.['data_version']
  let begun = { members: 0, nodes: 0 }

  return {
    ...logs,
    begin() {
      const now = version.get()?.['data_version']
      const isForeign = now !== seen
      seen = now
      if (isForeign) for (const log of [members, nodes]) log.noteAll()
      begun = { members: members.since(undefined).cursor, nodes: nodes.since(undefined).cursor }
      return isForeign
    },
    rollBack() {
      members.repeat(begun.members)
      nodes.repeat(begun.nodes)
    },
  }
}
