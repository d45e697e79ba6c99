// Proof before the switch: the service user can read what it will be given, and the product's own
// checker accepts it, both in the sandbox of the unit.

import { OperationalError, isRetryable } from '../shared/errors.ts'
import type { PreparedFile } from './apply.ts'
import type { Host } from './host.ts'
import type { ActionablePlan } from './plan.ts'
import type { PlannedFile } from './planned-files.ts'
import { CHAIN_FILE, KEY_FILE, releaseDirectory } from './resources/material.ts'
import { BUNDLE_FILE, STORE_FILE } from './resources/store.ts'
import { STAGED_TOKEN } from './services/service.ts'

// Reading a few small files; what takes longer is a hung file system.
const READ_TIMEOUT_MS = 20_000

export async function proveReadable(
  host: Host,
  plan: ActionablePlan,
  release: string | undefined,
  staged: readonly PreparedFile[],
): Promise<void> {
  const pair = materialFiles(plan, release).map(host.servicePath)
  // They keep owner and mode of what they replace, which may be nothing that the service can read.
  // Environment files and drop-ins are read by the service manager.
  const files = staged.filter(file => file.sha256 !== undefined && !isForServiceManager(file.plan))
  const all = [...pair, ...files.map(file => host.servicePath(file.staged))]
  if (all.length === 0 || (await unreadable(host, plan, all)) === undefined) return
  const { user, unit } = plan.unit
  const stderr = pair.length === 0 ? undefined : await unreadable(host, plan, pair)
  if (stderr !== undefined) {
    throw new OperationalError('key-unreadable', `user ${user} of ${unit} cannot read ${pair[0]}`, {
      hint: `a directory above it is closed to that user, or hidden by the sandbox of ${unit}`,
      details: { stderr },
    })
  }
  const paths = files.map(file => file.plan.path).join(' or ')
  throw new OperationalError('config-unreadable', `user ${user} of ${unit} cannot read ${paths}`, {
    hint: 'give it to the group of that user, mode 0640',
  })
}

function materialFiles(plan: ActionablePlan, release: string | undefined): readonly string[] {
  if (release === undefined) return []
  const { directory, bundleMode, store } = plan.compiled.material
  const path = releaseDirectory(directory, release)
  return [
    `${path}/${KEY_FILE}`,
    `${path}/${CHAIN_FILE}`,
    ...(bundleMode === undefined ? [] : [`${path}/${BUNDLE_FILE}`]),
    ...(store === undefined ? [] : [`${path}/${STORE_FILE}`]),
  ]
}

function isForServiceManager({ intent, path }: PlannedFile): boolean {
  return intent?.kind === 'environment' || path.startsWith('/etc/systemd/')
}

/** What the test said where one of them cannot be read by the service; undefined: all can. */
async function unreadable(
  host: Host,
  plan: ActionablePlan,
  paths: readonly string[],
): Promise<string | undefined> {
  const test = paths.flatMap((file, index) => (index === 0 ? ['-r', file] : ['-a', '-r', file]))
  const result = await host.commands.run(['/usr/bin/test', ...test], {
    timeoutMs: READ_TIMEOUT_MS,
    asServiceOf: plan.unit,
  })
  return result.code === 0 ? undefined : result.stderr.slice(0, 500)
}

export async function validateStaged(
  host: Host,
  plan: ActionablePlan,
  staged: readonly PreparedFile[],
): Promise<void> {
  for (const validator of plan.compiled.validators) {
    const argv = validator.argv.map(word => stagedWord(host, word, staged))
    const result = await host.commands
      .run(argv, { timeoutMs: validator.timeoutMs, asServiceOf: plan.unit })
      .catch(ignoreMissing)
    if (result === undefined) continue
    if (result.code === 0) {
      const objection = validator.judge?.(result.stdout)
      if (objection === undefined) continue
      throw new OperationalError(objection.code, objection.message, { hint: 'nothing was changed' })
    }
    const said = `${result.stderr}\n${result.stdout}`.trim().slice(0, 1000)
    throw new OperationalError(
      'validation-failed',
      `${validator.what} refused the new configuration: ${said}`,
      {
        hint: 'nothing was changed',
      },
    )
  }
}

// A product without its checker beside it is checked by what it does after the switch.
function ignoreMissing(error: unknown): undefined {
  if (error instanceof OperationalError && error.code === 'command-missing' && !isRetryable(error))
    return undefined
  throw error
}

function stagedWord(host: Host, word: string, staged: readonly PreparedFile[]): string {
  if (!word.includes(STAGED_TOKEN)) return word
  const path = word.replace(STAGED_TOKEN, '')
  const file = staged.find(one => one.plan.path === path)
  return host.servicePath(file?.sha256 === undefined ? path : file.staged)
}
