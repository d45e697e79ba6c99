// `run` and `enroll`: wiring of the daemon to its edges.

import { OperationalError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import { parseToken } from '../../shared/pki/enrollment-token.ts'
import { generateKey, parsePrivateKey } from '../../shared/pki/keys.ts'
import { signProof } from '../../shared/pki/proof.ts'
import { type AgentControl, runAgent } from '../agent.ts'
import type { AgentConfig } from '../config.ts'
import { createEnroll } from '../edges/enroll.ts'
import { askNodeFacts, readNodeFacts } from '../edges/node-facts.ts'
import { createNotifier } from '../edges/notify.ts'
import { createRemote } from '../edges/remote.ts'
import { createWatcher } from '../edges/watch.ts'
import type { Host } from '../host.ts'
import { loadIdentity, storeIdentity } from '../identity.ts'
import { prepareState } from '../standalone.ts'
import { AGENT_VERSION } from '../version.ts'
import { createWake } from '../wake.ts'
import { serveControl, tellEnrolled } from './control.ts'
import type { Options } from './options.ts'
import { readInput } from './read-input.ts'

export interface DaemonContext {
  readonly options: Options
  readonly config: AgentConfig
  readonly host: Host
  readonly stateDirectory: string
  readonly socketPath: string
  /** Where a logical path is on the file system of this process. */
  readonly physicalPath: (path: string) => string
  readonly log: Logger
  readonly signal: AbortSignal
  readonly write: (text: string) => void
}

// A watchdog of a minute is served in time, a loop that hangs is seen within it.
const HEARTBEAT_MS = 20_000

export async function runCommand(context: DaemonContext): Promise<number> {
  const { host, stateDirectory, log, config, signal } = context
  if (host.isOffline)
    throw new OperationalError('usage', 'run --root needs --systemctl: nothing runs in an image')
  await prepareState(host, stateDirectory)
  const identity = await loadIdentity(host.files, stateDirectory)
  if (identity === undefined) {
    throw new OperationalError('not-enrolled', 'could not start: this node is not enrolled', {
      hint: 'run "tlsfleet-agent enroll --token …" with a token from "tlsfleet node add"',
    })
  }
  const facts = askNodeFacts(log)
  const notifier = createNotifier({ environment: process.env })
  const wake = createWake(host.clock)
  let control: AgentControl | undefined
  const watcher = createWatcher(() => wake('files'))
  const heartbeat = pacemaker(context, notifier.watchdogIntervalMs, () => notifier.watchdog())
  const server = await serveControl(
    context.socketPath,
    lateControl(() => control),
  )
  try {
    await runAgent(
      {
        host,
        stateDirectory,
        issuers: config.issuers,
        allow: config.allow,
        offline: config.offline,
        snapshots: config.snapshots,
        intervalMs: config.intervalMs,
        identity,
        connect: one => createRemote({ identity: one }),
        wake,
        heartbeat,
        heartbeatMs: notifier.watchdogIntervalMs ?? HEARTBEAT_MS,
        onReady: () => {
          log.info({ node: identity.node, controller: identity.agentUrl }, 'agent ready')
          notifier
            .ready(`looking after ${identity.node}`)
            .catch(error => log.warn({ err: error }, 'systemd-notify failed'))
        },
        watch: paths => watcher.setPaths(paths.map(context.physicalPath)),
        onIdle: memoryKeeper(),
        metricsFile: config.metricsFile,
        facts: await facts,
        agentVersion: AGENT_VERSION,
        log,
        random: Math.random,
      },
      signal,
      given => {
        control = given
      },
    )
  } finally {
    await notifier.stopping('finishing').catch(() => undefined)
    server.close()
    server.closeAllConnections()
    await watcher.close()
  }
  return 0
}

function lateControl(get: () => AgentControl | undefined): AgentControl {
  const now = (): AgentControl => {
    const control = get()
    if (control === undefined)
      throw new OperationalError('agent-starting', 'the agent is still starting', {
        retryable: true,
      })
    return control
  }
  return {
    status: () => now().status(),
    metrics: () => now().metrics(),
    plan: () => now().plan(),
    apply: () => now().apply(),
    renew: names => now().renew(names),
    enrolled: () => now().enrolled(),
  }
}

// Sends at most one ping per interval, and only when the loop asks for it.
function pacemaker(
  context: DaemonContext,
  intervalMs: number | undefined,
  ping: () => Promise<void>,
): () => void {
  let lastMs = -Infinity
  return () => {
    if (intervalMs === undefined) return
    const nowMs = context.host.clock.monotonic()
    if (nowMs - lastMs < intervalMs / 2) return
    lastMs = nowMs
    ping().catch(error => context.log.warn({ err: error }, 'systemd-notify failed'))
  }
}

// Work comes in bursts: the collection is for the end of one.
const REST_MS = 2_000
// Less than a single pass leaves: 70 ms every five minutes keep the agent 3 MiB smaller in between.
const GROWTH_BYTES = 2 * 1024 * 1024

/** Called after every pass. One last-resort collection after work that made the process grow. */
function memoryKeeper(): () => void {
  let restingBytes = 0
  let timer: NodeJS.Timeout | undefined
  const collect = () => {
    globalThis.gc?.({ type: 'major', flavor: 'last-resort' })
    restingBytes = process.memoryUsage.rss()
  }
  return () => {
    clearTimeout(timer)
    if (process.memoryUsage.rss() < restingBytes + GROWTH_BYTES) return
    timer = setTimeout(collect, REST_MS).unref()
  }
}

export async function enrollCommand(context: DaemonContext): Promise<number> {
  const { host, stateDirectory, options } = context
  const token = await tokenOf(options)
  await prepareState(host, stateDirectory)
  const existing = await loadIdentity(host.files, stateDirectory).catch(ignoreDamage)
  const keys = await generateKey('ec-p256')
  const key = parsePrivateKey(keys.privateKeyPem)
  const answer = await createEnroll()({
    token,
    publicKeyPem: keys.publicKeyPem,
    prove: tokenId => signProof({ purpose: 'enroll', context: [tokenId], key }),
    facts: await readNodeFacts(),
    nowMs: host.clock.now(),
  })
  await storeIdentity(host.files, stateDirectory, {
    fleet: answer.fleet,
    node: answer.node,
    agentUrl: answer.agentUrl,
    enrollUrl: parseToken(token).enrollUrl,
    certificateChain: answer.certificateChain,
    privateKey: keys.privateKeyPem,
    identityTrust: answer.identityTrust,
  })
  const again = existing === undefined ? '' : ` (was ${existing.node} of ${existing.fleet})`
  const isSame = existing?.node === answer.node && existing.fleet === answer.fleet
  // One that cannot be told looks for itself when it next has trouble with its controller.
  const isRunning = await tellEnrolled(context.socketPath)
  const next = !isRunning
    ? 'start the agent: systemctl enable --now tlsfleet-agent'
    : isSame
      ? 'the agent goes on as that'
      : 'the agent is still running as what it was: systemctl restart tlsfleet-agent'
  context.write(
    options.json
      ? `${JSON.stringify({ ok: true, node: answer.node, fleet: answer.fleet, controller: answer.agentUrl })}\n`
      : `enrolled as ${answer.node} in fleet ${answer.fleet}${again}\nnothing was touched; ${next}\n`,
  )
  return 0
}

// A damaged identity is a reason to enrol, not an obstacle to it.
function ignoreDamage(error: unknown): undefined {
  if (error instanceof OperationalError && error.code === 'identity-damaged') return undefined
  throw error
}

async function tokenOf(options: Options): Promise<string> {
  if (options.token !== undefined) return options.token.trim()
  if (options.tokenFile === undefined) {
    throw new OperationalError('usage', 'enroll needs --token or --token-file', {
      hint: 'get a token with "tlsfleet node add"',
    })
  }
  try {
    return (await readInput(options.tokenFile)).trim()
  } catch (cause) {
    throw new OperationalError(
      'token-unreadable',
      `could not read the token from ${options.tokenFile}`,
      { cause },
    )
  }
}
