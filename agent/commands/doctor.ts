// `doctor`: looks at the node, its identity, the way to the controller, and the running agent.

import { clockDifferenceMs, clockFinding } from '../../shared/clock-difference.ts'
import { OperationalError, describeError } from '../../shared/errors.ts'
import { type Finding, findingsText, hasFailed } from '../../shared/findings.ts'
import type { AgentConfig } from '../config.ts'
import { agentFindings, identityFinding, nodeFindings, snapshotFindings } from '../doctor.ts'
import { createRemote } from '../edges/remote.ts'
import { identityEndsAtMs, identityRenewalAtMs, loadIdentity } from '../identity.ts'
import { whyNotOwn } from '../own-program.ts'
import type { Identity } from '../remote.ts'
import { askAgent } from './control.ts'
import type { LocalContext } from './local.ts'
import { EXIT } from './options.ts'

const TIMEOUT_MS = 10_000

export interface DoctorContext extends LocalContext {
  readonly config: Pick<AgentConfig, 'snapshots'>
}

export async function doctorCommand(context: DoctorContext): Promise<number> {
  const findings = [...(await lookAtNode(context)), ...(await lookAtSnapshots(context))]
  const identity = await ownIdentity(context, findings)
  if (identity !== undefined) findings.push(...(await lookAtController(context, identity)))
  findings.push(...(await lookAtAgent(context)))
  const { json } = context.options
  context.write(
    json ? `${JSON.stringify({ ok: !hasFailed(findings), findings })}\n` : findingsText(findings),
  )
  return hasFailed(findings) ? EXIT.failed : EXIT.ok
}

async function lookAtNode({
  host,
  options,
  stateDirectory,
}: LocalContext): Promise<readonly Finding[]> {
  const stat = await host.files.stat(stateDirectory)
  return nodeFindings({
    isRoot: process.getuid?.() === 0,
    // Whoever names another systemctl knows what it manages.
    hasSystemd:
      options.systemctl !== undefined ||
      (await host.files.stat('/run/systemd/system')) !== undefined,
    stateDirectory,
    state: stat === undefined ? undefined : { mode: stat.mode, uid: stat.uid },
    freeBytes: await host.files.freeBytes(stateDirectory),
  })
}

async function lookAtSnapshots({
  host: { files },
  config: { snapshots },
}: DoctorContext): Promise<readonly Finding[]> {
  const programs = []
  for (const [service, policy] of Object.entries(snapshots)) {
    if (policy.command === undefined) continue
    const [program] = policy.command
    programs.push({ service, program, why: await whyNotOwn(files, program) })
  }
  return snapshotFindings(programs)
}

async function ownIdentity(
  { host, stateDirectory }: LocalContext,
  findings: Finding[],
): Promise<Identity | undefined> {
  try {
    const identity = await loadIdentity(host.files, stateDirectory)
    const seen =
      identity === undefined
        ? undefined
        : {
            node: identity.node,
            fleet: identity.fleet,
            renewsAtMs: identityRenewalAtMs(identity),
            endsAtMs: identityEndsAtMs(identity),
          }
    findings.push(identityFinding(seen, host.clock.now()))
    return identity
  } catch (error) {
    findings.push(failed('identity', error, 'enroll it again: tlsfleet node token NAME'))
    return undefined
  }
}

async function lookAtController(
  { host, signal }: LocalContext,
  identity: Identity,
): Promise<readonly Finding[]> {
  const { clock } = host
  let answer: { readonly date: string | undefined; readonly answeredAtMs: number } | undefined
  const askedAtMs = clock.now()
  const remote = createRemote({
    identity,
    clock,
    requestTimeoutMs: TIMEOUT_MS,
    onAnswer: ({ date }) => {
      answer = { date, answeredAtMs: clock.now() }
    },
  })
  // A refusal has a date as well, and a wrong clock is a frequent cause of one.
  const clocks = () =>
    answer === undefined ? [] : [clockFinding(clockDifferenceMs({ ...answer, askedAtMs }))]
  try {
    await remote.whoami(signal)
    return [
      {
        check: 'controller',
        state: 'ok',
        message: `${identity.agentUrl} answers and knows this node`,
      },
      ...clocks(),
    ]
  } catch (error) {
    const fix = 'check its name, its port and what is between: services go on without it'
    return [failed('controller', error, fix), ...clocks()]
  } finally {
    remote.close()
  }
}

async function lookAtAgent({ socketPath }: LocalContext): Promise<readonly Finding[]> {
  try {
    return agentFindings(await askAgent(socketPath, 'status'))
  } catch (error) {
    if (error instanceof OperationalError && error.code === 'agent-not-running')
      return agentFindings(undefined)
    return [failed('agent', error, 'journalctl -u tlsfleet-agent')]
  }
}

function failed(check: string, error: unknown, fix: string): Finding {
  if (!(error instanceof OperationalError)) throw error
  return {
    check,
    state: 'failed',
    message: `${describeError(error)} (${error.code})`,
    fix: error.hint ?? fix,
  }
}
