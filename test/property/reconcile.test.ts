// Any desired state on any disk: two passes at most, then nothing is left to do. What is not ours is
// as it was; what cannot be edited stays byte for byte, and does not keep the other service back.
// `RECONCILE_RUNS=2000` looks longer.

import fc from 'fast-check'
import t from 'tap'
import { assert } from '../../shared/assert.ts'
import type { ServiceReport } from '../../shared/contract/report.ts'
import {
  arbitraryDisk,
  arbitraryWish,
  CONF,
  type Disk,
  FLAGS,
  layOut,
  recipeOf,
  SCRAPE,
  WEB,
} from '../support/arbitrary-disk.ts'
import { hold } from '../support/hold.ts'
import {
  type MemoryNode,
  newAgent,
  newNode,
  outcomes,
  passOnce,
  type Wish,
  wish,
} from '../support/memory-fleet.ts'

const numRuns = Number(process.env['RECONCILE_RUNS'] ?? 40)
t.setTimeout(900_000)

// Keys that a desired state owns, in any spelling: the only lines that may go or change.
const OWNED: Readonly<Record<string, RegExp>> = {
  [CONF]:
    /^\s*(https-(enabled|certificate|private-key)|http-(certificate|private-key)|min-version|max-version|ciphers)\s*=/i,
  [SCRAPE]:
    /scheme|tls_config|ca_file|cert_file|key_file|server_name|insecure_skip_verify|job_name|targets|localhost:9090/,
  [FLAGS]: /^\s*ARGS=/,
  [WEB]: /tls_server_config|cert_file|key_file|client_auth_type|client_ca_file|min_version/,
}

const SCENES = {
  values: fc.record({ disk: arbitraryDisk, wished: arbitraryWish, next: arbitraryWish }),
  describe: ({ disk, wished, next }: Scene) =>
    [recipeOf(disk), ...[wished, next].map(one => JSON.stringify({ ...one, trust: [] }))].join(' '),
}

interface Scene {
  readonly disk: Disk
  readonly wished: Wish
  readonly next: Wish
}

const linesOf = (text: string) => text.replace('\uFEFF', '').split(/\r?\n/)

function assertForeignLinesStay(path: string, before: string, after: string): void {
  const left = linesOf(after)
  const owned = OWNED[path]
  for (const line of linesOf(before)) {
    const at = left.indexOf(line)
    if (at >= 0) left.splice(at, 1)
    else assert(owned?.test(line) === true, `${path}: this line must stay: ${JSON.stringify(line)}`)
  }
  assert(before.startsWith('\uFEFF') === after.startsWith('\uFEFF'), `${path}: byte order mark`)
  if (before.includes('\r\n')) assert(!/[^\r]\n/.test(after), `${path}: line ends`)
}

interface Seen {
  readonly disk: Disk
  readonly passes: readonly (readonly ServiceReport[])[]
}

const describe = (reports: readonly ServiceReport[]) =>
  reports.map(({ service, outcome, reason }) => `${service} ${outcome} ${reason.code}`).join(', ')

/** Files by path that a broken text makes uneditable, and the service that then has to wait. */
function brokenFiles(disk: Disk, services: readonly string[]) {
  return [
    { path: CONF, text: disk.influxdb, service: 'influxdb' },
    { path: SCRAPE, text: disk.scrape, service: 'prometheus' },
  ].filter(({ text, service }) => text.isBroken && services.includes(service))
}

function assertConverged(node: MemoryNode, seen: Seen, services: readonly string[]): void {
  const last = seen.passes.at(-1) ?? []
  const broken = brokenFiles(seen.disk, services)
  for (const { service, outcome, reason, changes } of last) {
    if (broken.some(one => one.service === service)) {
      assert(
        outcome === 'failed' || outcome === 'unsupported',
        `${service} was refused: ${outcome}`,
      )
      continue
    }
    // What this disk has in it and the driver will not touch is a clear refusal, and rare.
    if (outcome === 'unsupported' || reason.code === 'duplicate-key') {
      tally.refused += 1
      continue
    }
    // Nor does it widen the mode of a file that may hold passwords.
    if (reason.code === 'config-unreadable') {
      assert(
        seen.disk.modes.some(one => one.mode !== 0o644),
        'somebody closed a file',
      )
      tally.unreadable += 1
      continue
    }
    assert(
      outcome === 'in-sync' && changes.length === 0,
      `${describe(last)} after: ${history(seen)}`,
    )
    const kind = node.served(service)
    assert(/^[0-9a-f]{64}$/.test(kind), `${service} serves ${kind} after: ${history(seen)}`)
    assert(reason.code === 'in-sync', reason.code)
    tally.converged += 1
  }
}

const history = ({ passes }: Seen) => passes.map(describe).join(' | ')
const tally = { converged: 0, refused: 0, unreadable: 0, broken: 0 }

const filesOf = (node: MemoryNode) =>
  Object.fromEntries([CONF, SCRAPE, FLAGS, WEB].map(path => [path, node.files.text(path)]))

async function passTwice(node: MemoryNode, disk: Disk, wanted: Awaited<ReturnType<typeof wish>>) {
  const passes: (readonly ServiceReport[])[] = []
  // A failed attempt is held; the second pass is that of an operator who tries again.
  passes.push(await passOnce(node, wanted))
  passes.push(await passOnce(node, wanted))
  const [changes, activations] = [node.changes(), node.activations.length]
  passes.push(await passOnce(node, wanted))
  const seen = { disk, passes }
  const isSettled = passes.at(-1)?.every(one => one.outcome === 'in-sync') === true
  if (isSettled)
    assert(node.changes() === changes, `the third pass changed something: ${history(seen)}`)
  assert(node.activations.length === activations, `the third pass activated: ${history(seen)}`)
  return seen
}

await t.test('after at most two passes nothing is left to do, on any disk', async t => {
  await hold(t, { ...SCENES, runs: numRuns }, async ({ disk, wished, next }) => {
    const node = newNode()
    layOut(node, disk)
    const wanted = await wish(wished)
    const before = filesOf(node)

    const seen = await passTwice(node, disk, wanted)

    assertConverged(node, seen, wished.services ?? [])
    for (const [path, text] of Object.entries(before))
      if (text !== undefined) assertForeignLinesStay(path, text, node.files.text(path) ?? '')
    for (const { path, text } of brokenFiles(disk, wished.services ?? [])) {
      tally.broken += 1
      assert(node.files.text(path) === text.text, `${path} is byte for byte as it was`)
    }
    // From there to any other desired state.
    assertConverged(node, await passTwice(node, disk, await wish(next)), next.services ?? [])
    const left = [...node.tree.keys()].filter(name =>
      /\/\.tlsfleet-(?!influxdb\.conf\.new$|prometheus\.conf\.new$)/.test(name),
    )
    assert(left.length === 0, `left over: ${left.join(' ')}`)
  })

  t.comment(JSON.stringify(tally))
  t.ok(tally.converged > numRuns, 'most of it converged')
  t.ok(tally.refused < tally.converged / 4, 'refusals are rare')
})

await t.test('a plan is a function of what is there: asked twice it says the same', async t => {
  await hold(t, { ...SCENES, runs: Math.ceil(numRuns / 2) }, async ({ disk, wished }) => {
    const node = newNode()
    layOut(node, disk)
    const wanted = await wish(wished)
    const agent = await newAgent(node)
    const changes = node.changes()

    const first = await agent.plan(wanted)
    const second = await (await newAgent(node)).plan(wanted)

    assert(JSON.stringify(first) === JSON.stringify(second), 'the same plan')
    assert(node.changes() === changes, 'and nothing was touched')
    assert(Object.keys(outcomes(first)).length === wanted.length, 'each service has its line')
  })
})
