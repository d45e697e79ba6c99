// Looks at everything between this command and a fleet that is well, in the order in which one thing
// needs the other; what cannot be looked at for an earlier failure is skipped and says so.

import { clockDifferenceMs, clockFinding } from '../../../shared/clock-difference.ts'
import { OperationalError, describeError } from '../../../shared/errors.ts'
import { type Finding, findingsText, hasFailed } from '../../../shared/findings.ts'
import { VERSION } from '../../version.ts'
import type { Client } from '../client.ts'
import { type Context, configPath, readConfig, selectContext } from '../context.ts'
import {
  certificateFinding,
  loginFinding,
  operatorFindings,
  versionFinding,
} from '../doctor/access-findings.ts'
import {
  authorityFindings,
  certificateFindings,
  groupFindings,
  nodeFindings,
  rolloutFindings,
} from '../doctor/fleet-findings.ts'
import { greet, resolveController } from '../doctor/hello.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'

const DESCRIPTION_PATH = '/v1/openapi.json'
const HORIZON_MS = 30 * 86_400_000

export async function doctor(session: Session): Promise<ExitCode> {
  const findings: Finding[] = []
  await examine(session, findings)
  show(session, { findings }, shown => findingsText(shown.findings, session.paint))
  return hasFailed(findings) ? EXIT.error : EXIT.ok
}

async function examine(session: Session, findings: Finding[]): Promise<void> {
  const context = await check(findings, 'context', 'everything else', async () => {
    const path = configPath(session.environment)
    const chosen = selectContext(readConfig(path), session.contextName)
    findings.push({ check: 'context', state: 'ok', message: `${chosen.url}, from ${path}` })
    return chosen
  })
  if (context === undefined) return
  const version = await reach(session, context, findings)
  if (version === undefined) return
  await withClient(session, client => askFleet(session, client, version, findings))
}

/** The controller's version; undefined: it cannot be reached. */
async function reach(
  session: Session,
  context: Context,
  findings: Finding[],
): Promise<string | undefined> {
  const { clock, signal } = session
  const addresses = await check(findings, 'name', 'the connection', () =>
    resolveController(context.url),
  )
  if (addresses === undefined) return undefined
  const { hostname } = new URL(context.url)
  findings.push({ check: 'name', state: 'ok', message: `${hostname} is ${addresses.join(', ')}` })
  const hello = await check(findings, 'connection', 'login and fleet', () =>
    greet(context, DESCRIPTION_PATH, { clock, signal }),
  )
  if (hello === undefined) return undefined
  findings.push(
    {
      check: 'connection',
      state: 'ok',
      message: `${hello.protocol}, trusted by the CA of this login`,
    },
    certificateFinding(hello.certificateEndsAtMs, clock.now()),
    clockFinding(clockDifferenceMs(hello)),
    versionFinding(VERSION, hello.version),
  )
  return hello.version ?? VERSION
}

async function askFleet(
  session: Session,
  client: Client,
  version: string,
  findings: Finding[],
): Promise<void> {
  const nowMs = session.clock.now()
  const who = await check(findings, 'login', 'the fleet', () => client.whoami())
  if (who === undefined) return
  findings.push(loginFinding(who, nowMs))
  const ask = async <T>(
    name: string,
    question: () => Promise<T>,
    findingsIn: (answer: T) => readonly Finding[],
  ) => {
    const answer = await check(findings, name, '', question)
    if (answer !== undefined) findings.push(...findingsIn(answer))
  }
  await ask(
    'operators',
    () => client.operators(),
    ({ operators }) => operatorFindings(operators, nowMs),
  )
  await ask(
    'CAs',
    () => client.authorities(),
    ({ authorities }) => authorityFindings(authorities, nowMs),
  )
  await ask(
    'nodes',
    () => client.nodes([]),
    nodes => nodeFindings(nodes, version),
  )
  const filter = { labels: [], expiringBefore: nowMs + HORIZON_MS, unrenewed: true }
  await ask(
    'certificates',
    () => client.certificates({ ...filter, isControllerDown: false }),
    certificates => certificateFindings(certificates, nowMs),
  )
  await ask(
    'groups',
    () => client.groups(),
    ({ groups }) => groupFindings(groups),
  )
  await ask(
    'rollouts',
    () => client.rollouts(),
    ({ rollouts }) => rolloutFindings(rollouts),
  )
}

/** A failure that is a person's to mend becomes a finding; `skipped` is what needed it. */
async function check<T>(
  findings: Finding[],
  name: string,
  skipped: string,
  work: () => Promise<T> | T,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof OperationalError) || error.code === 'interrupted') throw error
    const { hint } = error
    findings.push({
      check: name,
      state: 'failed',
      message: `${describeError(error)} (${error.code})`,
      ...(hint === undefined ? {} : { fix: hint }),
    })
    if (skipped !== '')
      findings.push({ check: 'the rest', state: 'skipped', message: `${skipped} need this first` })
    return undefined
  }
}
