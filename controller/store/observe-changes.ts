// The same store, which tells after each commit what has changed. One place instead of a line in every
// route and loop: none of them can forget it.

import type { WatchResource } from '../../shared/contract/watch.ts'
import type { Change } from './changes-store.ts'
import type { Store, Transaction } from './store.ts'

type Note = (resource: WatchResource | 'credentials', id?: string) => void

export function observedStore(store: Store, publish: (changes: readonly Change[]) => void): Store {
  return {
    close: () => store.close(),
    async transaction(work) {
      let changes: Change[] = []
      const note: Note = (resource, id) => {
        changes.push({ resource, id })
      }
      const result = await store.transaction(tx => {
        // The work may run again after a conflict, and then only the last run counts.
        changes = []
        return work(observed(tx, note))
      })
      if (changes.length > 0) publish(changes)
      return result
    },
  }
}

function observed(tx: Transaction, note: Note): Transaction {
  return {
    ...tx,
    ...ofNodes(tx, note),
    ...ofLogs(tx, note),
    ...ofCertificates(tx, note),
    ...ofAccess(tx, note),
  }
}

/** Does `work`, and says so afterwards. */
async function after<T>(work: Promise<T>, ...told: readonly (() => void)[]): Promise<T> {
  const result = await work
  for (const tell of told) tell()
  return result
}

// When a node was seen last is told by nobody: it changes all the time.
function ofNodes({ nodes, reports, desired, leases, debts, freezes }: Transaction, note: Note) {
  const node = (name: string) => () => note('nodes', name)
  return {
    nodes: {
      ...nodes,
      insert: record => after(nodes.insert(record), node(record.name)),
      setEnrolled: (name, atMs) => after(nodes.setEnrolled(name, atMs), node(name)),
      change: (name, recorded) => after(nodes.change(name, recorded), node(name)),
      lock: (name, lock) => after(nodes.lock(name, lock), node(name)),
      remove: (name, atMs) => after(nodes.remove(name, atMs), node(name)),
    },
    reports: {
      ...reports,
      async put(record) {
        const isStored = await reports.put(record)
        if (isStored) note('nodes', record.node)
        return isStored
      },
    },
    desired: { ...desired, put: one => after(desired.put(one), node(one.state.node)) },
    leases: {
      ...leases,
      take: one => after(leases.take(one), () => note('leases', `${one.group}/${one.node}`)),
      release: (group, name) =>
        after(leases.release(group, name), () => note('leases', `${group}/${name}`)),
      releaseNode: name => after(leases.releaseNode(name), () => note('leases')),
    },
    // Shown with the groups, as leases are.
    debts: {
      ...debts,
      owe: one => after(debts.owe(one), () => note('leases')),
      settle: id => after(debts.settle(id), () => note('leases')),
    },
    freezes: {
      ...freezes,
      put: freeze => after(freezes.put(freeze), () => note('freezes', freeze.name)),
      remove: name => after(freezes.remove(name), () => note('freezes', name)),
    },
  } satisfies Partial<Transaction>
}

function ofLogs({ rollouts, rotations, revisions, audit }: Transaction, note: Note) {
  const logged = () => note('audit')
  return {
    // Their events are audit records too.
    rollouts: {
      ...rollouts,
      insert: one => after(rollouts.insert(one), () => note('rollouts', one.id), logged),
      async append(id, version, events, atMs) {
        const rollout = await rollouts.append(id, version, events, atMs)
        if (events.length > 0) note('rollouts', id)
        if (events.length > 0) logged()
        return rollout
      },
    },
    rotations: {
      ...rotations,
      insert: (id, created) =>
        after(rotations.insert(id, created), () => note('rotations', id), logged),
      append: (id, version, events) =>
        after(rotations.append(id, version, events), () => note('rotations', id), logged),
    },
    revisions: {
      ...revisions,
      async insert(revision) {
        const inserted = await revisions.insert(revision)
        note('revisions', String(inserted.number))
        return inserted
      },
    },
    audit: { ...audit, append: entry => after(audit.append(entry), logged) },
  } satisfies Partial<Transaction>
}

function ofCertificates({ requests, provided, authorities }: Transaction, note: Note) {
  const request = (id: string) => () => note('requests', id)
  const authority = (id: string) => () => note('authorities', id)
  return {
    requests: {
      ...requests,
      insert: one => after(requests.insert(one), request(one.id)),
      note: (id, reason) => after(requests.note(id, reason), request(id)),
      settle: (id, settlement, atMs) => after(requests.settle(id, settlement, atMs), request(id)),
    },
    provided: {
      ...provided,
      put: one => after(provided.put(one), () => note('provided', one.name)),
      remove: (name, fingerprint) =>
        after(provided.remove(name, fingerprint), () => note('provided', name)),
    },
    authorities: {
      ...authorities,
      insert: one => after(authorities.insert(one), authority(one.id)),
      setState: (id, state, atMs) => after(authorities.setState(id, state, atMs), authority(id)),
      taint: (id, atMs) => after(authorities.taint(id, atMs), authority(id)),
      replaceIntermediate: (id, next) =>
        after(authorities.replaceIntermediate(id, next), authority(id)),
      destroyKeys: id => after(authorities.destroyKeys(id), authority(id)),
    },
  } satisfies Partial<Transaction>
}

function ofAccess({ tokens, credentials }: Transaction, note: Note) {
  return {
    tokens: {
      ...tokens,
      insert: one => after(tokens.insert(one), () => note('tokens', one.id)),
      redeem: (id, key) => after(tokens.redeem(id, key), () => note('tokens', id)),
      expireAll: atMs => after(tokens.expireAll(atMs), () => note('tokens')),
      removeOf: node => after(tokens.removeOf(node), () => note('tokens')),
    },
    credentials: {
      ...credentials,
      remove: id => after(credentials.remove(id), () => note('credentials', id)),
    },
  } satisfies Partial<Transaction>
}
