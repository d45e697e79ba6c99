// A sandbox node with products on it, and the agent's passes over it in this process: what
// `tlsfleet-agent apply --desired FILE --root DIR --systemctl PATH` does.

import { copyFileSync, globSync, lstatSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { parseDesiredFile } from '../../agent/desired-file.ts'
import type { LocalCredentials } from '../../agent/issuers.ts'
import { createHost } from '../../agent/edges/host.ts'
import { withoutHeld } from '../../agent/ledger.ts'
import { createReconciler } from '../../agent/reconcile.ts'
import { applyOnce, prepareState } from '../../agent/standalone.ts'
import type { ServiceReport } from '../../shared/contract/report.ts'
import type { ServiceName, TlsSwitch } from '../../shared/contract/service.ts'
import { silentLog } from '../../shared/log.ts'
import { until } from '../lab/until.ts'
import { createSandboxNode, type SandboxNode, type SandboxService } from '../sandbox/sandbox.ts'
import { createCa, type TestCa } from '../simulators/certificates.ts'
import { type Probe, probe, type ProbeOptions } from '../simulators/probe.ts'

const STATE_DIRECTORY = '/var/lib/tlsfleet/agent'

/** An entry of the desired state; the rest of it is the same for all. */
export interface Wish {
  readonly service: ServiceName
  readonly [key: string]: unknown
}

export interface ProductNode {
  readonly node: SandboxNode
  /** Issues the leaves, as `local-ca`. */
  readonly ca: TestCa
  apply(
    wishes: readonly Wish[],
    credentials?: LocalCredentials,
    onStep?: (step: string) => void,
  ): Promise<readonly ServiceReport[]>
  /** As `apply`, with new keys for these products, due or not. */
  renew(
    wishes: readonly Wish[],
    services: readonly ServiceName[],
  ): Promise<readonly ServiceReport[]>
  path(path: string): string
  /** Every file of /etc and of the agent, and when it was changed last. */
  times(): Readonly<Record<string, string>>
  /** Of a unit: changes with every start. */
  invocation(unit: string): Promise<string>
  /** What this test's own client gets; trusts the node's CA. */
  readonly https: Ask
  readonly http: Ask
}

export type Ask = (port: number, options?: Partial<ProbeOptions>) => Promise<Probe>

export async function createProductNode(
  t: Test,
  services: readonly SandboxService[],
  directory = t.testdir(),
): Promise<ProductNode> {
  const ca = createCa(directory)
  const node = await createSandboxNode({ dir: ca.directory, name: 'n1', services })
  t.teardown(() => node.stop())
  // Paths in documents are the node's own.
  mkdirSync(join(node.root, 'root'))
  copyFileSync(ca.certFile, join(node.root, 'root/ca.crt'))
  copyFileSync(ca.keyFile, join(node.root, 'root/ca.key'))
  const options = (wishes: readonly Wish[], credentials: LocalCredentials = {}) => ({
    host: createHost({ root: node.root, systemctl: node.systemctl }),
    stateDirectory: STATE_DIRECTORY,
    desired: { text: desiredText(wishes, credentials), name: 'desired.json' },
    log: silentLog,
    signal: new AbortController().signal,
  })
  return {
    node,
    ca,
    apply: (wishes, credentials, onStep) =>
      applyOnce({
        ...options(wishes, credentials),
        ...(onStep === undefined ? {} : { onStep }),
      }),
    renew: (wishes, renewed) => passRenewing(options(wishes), renewed),
    path: path => join(node.root, path),
    times: () => timesBelow(node.root),
    invocation: async unit =>
      (await node.run('show', '--value', '--property=InvocationID', unit)).stdout.trim(),
    https: (port, more) => probe({ port, ca: ca.certPem, ...more }),
    http: (port, more) => probe({ port, ...more }),
  }
}

function desiredText(wishes: readonly Wish[], credentials: LocalCredentials): string {
  return JSON.stringify({
    version: 1,
    services: wishes,
    issuers: { localCa: { certificate: '/root/ca.crt', privateKey: '/root/ca.key' } },
    credentials,
  })
}

const SOON = { stableFor: '500ms', deadline: '2m' }

/** Of a product with a listener of its own. */
export function served(service: ServiceName, more: Readonly<Record<string, unknown>> = {}): Wish {
  const names = { dns: ['localhost'], ip: ['127.0.0.1'] }
  return { service, issuer: 'local-ca', names, verify: SOON, ...more }
}

/** Of a product that is a client only. */
export function client(service: ServiceName, more: Readonly<Record<string, unknown>> = {}): Wish {
  return { service, verify: SOON, ...more }
}

export function upstream(service: ServiceName, port: number, tls: TlsSwitch) {
  return { service, names: { dns: ['localhost'], ip: ['127.0.0.1'] }, port, tls }
}

async function passRenewing(
  { host, stateDirectory, desired, log, signal }: Parameters<typeof applyOnce>[0],
  renew: readonly ServiceName[],
): Promise<readonly ServiceReport[]> {
  const { services, issuers } = await parseDesiredFile(desired.text, desired.name)
  await prepareState(host, stateDirectory)
  const reconciler = await createReconciler({ host, stateDirectory, issuers, log })
  await reconciler.resume(services)
  await reconciler.updateLedger(withoutHeld)
  const claim = () => Promise.resolve(undefined)
  return reconciler.pass({
    services,
    mode: 'enforce',
    signInternal: undefined,
    claim,
    signal,
    renew,
  })
}

function timesBelow(root: string): Readonly<Record<string, string>> {
  const files = globSync(['etc/**/*', 'usr/local/share/**/*', 'var/lib/tlsfleet/**/*'], {
    cwd: root,
  })
  return Object.fromEntries(
    files.toSorted().map(file => {
      const { mtimeNs, ino, mode } = lstatSync(join(root, file), { bigint: true })
      return [file, `${mtimeNs} ${ino} ${mode.toString(8)}`]
    }),
  )
}

/** `service: outcome activation`, with the reason where it is no success. */
export function told(reports: readonly ServiceReport[]): readonly string[] {
  return reports.map(({ service, outcome, activation, reason }) => {
    const why = ['changed', 'in-sync'].includes(outcome) ? '' : ` ${reason.code}: ${reason.message}`
    return `${service}: ${outcome} ${activation}${why}`
  })
}

export function untilAnswers(
  what: string,
  check: () => Promise<Probe>,
  status = 200,
): Promise<Probe> {
  return until(
    async () => {
      const answer = await check()
      return answer.status === status ? answer : undefined
    },
    { what },
  )
}
