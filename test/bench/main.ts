// `npm run bench`: what the agent costs on a node that is as it should be, and how fast it puts right
// what is not; what rollouts of large fleets cost the controller, and how soon the dashboard can be used. One JSON line a metric on standard
// output. `npm run bench -- peers` compares with other tools on the same job.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { convergeStandalone, productsHere, type Standalone } from './bench-node.ts'
import { benchDashboard } from './dashboard.ts'
import { type Daemon, rssMb, startDaemon } from './daemon.ts'
import { correctDrift } from './drift.ts'
import { median, printMetric, quantile, say } from './metric.ts'
import { measureInTurns } from './one-shot.ts'
import { countWrites, measurePasses } from './passes.ts'
import { comparePeers } from './peers.ts'
import { buildPrograms, ENVIRONMENT } from './programs.ts'
import { untilMachineRests } from './rest.ts'
import { benchRollouts } from './rollout.ts'
import { benchSimulation } from './simulation.ts'

// One after the other: no two agents lie in memory alike.
const AGENTS = 5
const PASSES = 200
const TRACED_PASSES = 20
const ONE_SHOTS = 9
const EDITS = 40
const RSS_READINGS = 5
// Enough for timers of a second or two that give memory back.
const SETTLE_MS = 6_000

const HELP = `What agent and rollouts cost, one JSON line a metric.

Usage: npm run bench [-- peers | rollouts | dashboard]

  peers      the same job by cf-agent, Ansible and Puppet, where they are installed
  rollouts   only what rollouts cost the controller, and how fast they are simulated
  dashboard  only how soon the dashboard of 1,000 nodes can be used, and what that transfers
`

async function bench(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'tlsfleet-bench-'))
  const ends: (() => Promise<void>)[] = []
  try {
    const programs = await buildPrograms(dir)
    printLoad('begin')
    const standalone = await convergeStandalone(dir, programs)
    ends.push(() => standalone.node.stop())
    await untilMachineRests()
    await benchPasses(standalone)
    await benchOneShot(standalone)
    const daemon = await startDaemon(dir, programs)
    ends.push(() => daemon.stop())
    await untilMachineRests()
    await benchMemory(daemon)
    await benchDrift(daemon)
    await benchController()
    await benchDashboard()
    printLoad('end')
  } finally {
    for (const end of ends) await end()
    rmSync(dir, { recursive: true, force: true })
  }
}

async function benchController(): Promise<void> {
  await benchRollouts()
  await benchSimulation()
}

async function benchPasses(standalone: Standalone): Promise<void> {
  const [cpuMs, wallMs]: [number[], number[]] = [[], []]
  for (let i = 0; i < AGENTS; i++) {
    const { spawned, childCpuMs, changes, ...took } = await measurePasses(standalone, PASSES)
    if (spawned.length > 0 || childCpuMs > 0)
      throw new Error(`a warm no-op pass started programs: ${spawned.join(', ')}`)
    if (changes > 0) throw new Error(`a no-op pass planned ${changes} changes`)
    cpuMs.push(...took.cpuMs)
    wallMs.push(...took.wallMs)
  }
  printMetric('agent.pass.noop.cpu_ms', median(cpuMs), 'ms', cpuMs.length)
  printMetric('agent.pass.noop.wall_ms', median(wallMs), 'ms', wallMs.length)
  const writes = await countWrites(standalone, TRACED_PASSES)
  printMetric('agent.pass.noop.fs_writes', writes, 'count', TRACED_PASSES)
}

async function benchOneShot({ argv, env }: Standalone): Promise<void> {
  const node = process.execPath
  const costs = await measureInTurns(
    [
      { name: 'agent.oneshot.plan', file: node, argv: argv('plan'), env },
      { name: 'node.start', file: node, argv: ['-e', '0'], env },
    ],
    ONE_SHOTS,
  )
  for (const [name, list] of costs) {
    const [wall, cpu] = [list.map(one => one.wallMs), list.map(one => one.cpuMs)]
    printMetric(`${name}.wall_ms`, median(wall), 'ms', list.length)
    printMetric(`${name}.cpu_ms`, median(cpu), 'ms', list.length)
  }
}

async function benchMemory(daemon: Daemon): Promise<void> {
  const bare = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e9)'], {
    env: ENVIRONMENT,
    stdio: 'ignore',
  })
  const bareEnded = new Promise(resolve => bare.once('exit', resolve))
  await daemon.idle(1_000)
  await sleep(SETTLE_MS)
  const readings: { readonly agent: number; readonly node: number }[] = []
  for (let i = 0; i < RSS_READINGS; i++) {
    readings.push({ agent: rssMb(daemon.pid), node: rssMb(bare.pid ?? 0) })
    await sleep(200)
  }
  bare.kill()
  await bareEnded
  const [agent, node] = [readings.map(one => one.agent), readings.map(one => one.node)]
  printMetric('agent.idle.rss_mb', median(agent), 'mb', agent.length)
  printMetric('node.idle.rss_mb', median(node), 'mb', node.length)
}

async function benchDrift(daemon: Daemon): Promise<void> {
  const took = await correctDrift(daemon, EDITS)
  printMetric('agent.drift.correct_ms.p50', median(took), 'ms', took.length)
  printMetric('agent.drift.correct_ms.p99', quantile(took, 0.99), 'ms', took.length)
}

/** A figure without the load beside it says little on a machine that others use as well. */
function printLoad(when: 'begin' | 'end'): void {
  const [load = Number.NaN] = loadavg()
  printMetric(`machine.load.${when}`, load, 'load', 1)
  if (when !== 'begin') return
  const [cpu] = cpus()
  say(`${cpus().length} x ${cpu?.model ?? 'unknown CPU'}, ${kernel()}, ${productsHere()}`)
}

function kernel(): string {
  return readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()
}

const { values, positionals } = parseArgs({
  options: { help: { type: 'boolean', short: 'h' } },
  allowPositionals: true,
})
if (values.help === true) process.stdout.write(HELP)
else if (positionals[0] === 'peers') await comparePeers()
else if (positionals[0] === 'rollouts') await benchController()
else if (positionals[0] === 'dashboard') await benchDashboard()
else await bench()
