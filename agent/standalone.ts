// One pass without a controller: `plan`, `apply` and `verify` with `--desired`. The quickest way to
// try tlsfleet, and what image builds use.

import type { ServiceReport } from '../shared/contract/report.ts'
import { OperationalError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { parseDesiredFile } from './desired-file.ts'
import { lookAhead } from './look-ahead.ts'
import type { Host } from './host.ts'
import type { LocalIssuers } from './issuers.ts'
import { withoutHeld } from './ledger.ts'
import { UNITS } from './services/units.ts'
import { OWN } from './state-file.ts'

export interface StandaloneOptions {
  readonly host: Host
  readonly stateDirectory: string
  /** Text of the desired state, and what to call it in messages. */
  readonly desired: { readonly text: string; readonly name: string }
  readonly log: Logger
  readonly signal: AbortSignal
  readonly onStep?: (step: string) => void
}

/** Reads only. */
export async function planOnce(options: StandaloneOptions): Promise<readonly ServiceReport[]> {
  const desired = await parseDesiredFile(options.desired.text, options.desired.name)
  const units = desired.services.flatMap(({ service }) => UNITS[service].slice(0, 1))
  const host = { ...options.host, services: lookAhead(options.host.services, units) }
  const reconciler = await reconcilerOf({ ...options, host }, desired.issuers)
  return reconciler.plan(desired.services)
}

/** Converges, and tries again what failed before: an operator asked. */
export async function applyOnce(options: StandaloneOptions): Promise<readonly ServiceReport[]> {
  const desired = await parseDesiredFile(options.desired.text, options.desired.name)
  await prepareState(options.host, options.stateDirectory)
  const reconciler = await reconcilerOf(options, desired.issuers)
  await reconciler.resume(desired.services)
  await reconciler.updateLedger(withoutHeld)
  return reconciler.pass({
    services: desired.services,
    mode: 'enforce',
    signInternal: undefined,
    claim: () => Promise.resolve(undefined),
    signal: options.signal,
  })
}

async function reconcilerOf(options: StandaloneOptions, issuers: LocalIssuers) {
  const { createReconciler } = await import('./reconcile.ts')
  const { host, stateDirectory, log, onStep } = options
  return createReconciler({
    host,
    stateDirectory,
    issuers,
    log,
    ...(onStep === undefined ? {} : { onStep }),
  })
}

/** Makes the state directory, 0700. Its parents are made too: an image has none of them yet. */
export async function prepareState(host: Host, stateDirectory: string): Promise<void> {
  const parts = stateDirectory.split('/').filter(part => part !== '')
  for (let depth = 1; depth <= parts.length; depth++) {
    const path = `/${parts.slice(0, depth).join('/')}`
    const stat = await host.files.stat(path)
    if (stat !== undefined && depth < parts.length) continue
    const wanted = { mode: depth === parts.length ? 0o700 : 0o755, ...OWN }
    if (stat?.mode === wanted.mode && stat.uid === wanted.uid && stat.kind === 'directory') return
    if (stat !== undefined && stat.kind !== 'directory') {
      throw new OperationalError(
        'state-unusable',
        `could not use ${stateDirectory}: ${path} is not a directory`,
      )
    }
    await host.files.makeDirectory(path, wanted)
  }
}
