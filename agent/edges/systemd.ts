// The service manager through systemctl. Nothing here waits for a job: the caller polls.

import { readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { unreachable } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { ActivationVerb, CommandResult, Services } from '../host.ts'
import { createShow } from './show-unit.ts'
import {
  checkUnitName,
  createSystemctl,
  firstLine,
  parseProperties,
  type Systemctl,
  type SystemctlOptions,
} from './systemctl.ts'

export interface ServicesOptions extends SystemctlOptions {
  /** Where `/run` of the node is. */
  readonly root?: string | undefined
  /** Name of a user's primary group, for units without `Group=`. */
  readonly primaryGroup?: (user: string) => Promise<string | undefined>
}

export function createServices(options: ServicesOptions): Services {
  const systemctl = createSystemctl(options)
  const show = createShow(systemctl)
  const links = linkDirectory(options)

  return {
    async show(unit) {
      checkUnitName(unit)
      const state = await show(unit)
      if (state === undefined || state.group !== '') return state
      return { ...state, group: (await options.primaryGroup?.(state.user)) ?? '' }
    },
    async peekInvocation(unit) {
      checkUnitName(unit)
      try {
        return readlinkSync(join(links, `invocation:${unit}`))
      } catch {
        // Not running, or not told there: the caller asks the service manager.
        return undefined
      }
    },
    async activate(unit, verb) {
      checkUnitName(unit)
      const argv = activationArgv(unit, verb)
      const result = await systemctl(argv)
      if (result.code !== 0) throw refusal(unit, verb, result)
      if (verb === 'restart' || verb === 'start') await refuseStartLimit(systemctl, unit, verb)
    },
    async resetFailed(unit) {
      checkUnitName(unit)
      const result = await systemctl(['reset-failed', unit])
      // A unit that never failed may be unloaded by now, so there is nothing to forget.
      if (result.code !== 0 && !/not loaded/.test(result.stderr))
        throw activationFailed(unit, 'reset-failed', result)
    },
    async daemonReload() {
      const result = await systemctl(['daemon-reload'])
      if (result.code === 0) return
      const details = { code: result.code, stderr: firstLine(result.stderr) }
      throw new OperationalError('daemon-reload-failed', 'systemctl refused to daemon-reload', {
        details,
      })
    },
  }
}

function linkDirectory({ root = '/', scope }: ServicesOptions): string {
  const runtime = scope === 'user' ? (process.env['XDG_RUNTIME_DIR'] ?? '/run') : '/run'
  return join(root, runtime, 'systemd/units')
}

function activationArgv(unit: string, verb: ActivationVerb): readonly string[] {
  switch (verb) {
    case 'restart':
    case 'reload':
    case 'start':
    case 'stop':
      return [verb, '--no-block', unit]
    case 'hangup':
      return ['kill', '--kill-who=main', '--signal=HUP', unit]
    default:
      return unreachable(verb)
  }
}

// With --no-block systemctl returns 0 although the start is refused. The refusal is immediate, so
// one look tells it where nothing had to be stopped first; otherwise the caller's polls see `result`.
async function refuseStartLimit(systemctl: Systemctl, unit: string, verb: ActivationVerb) {
  const result = await systemctl(['show', unit, '--property=ActiveState,Result,Job'])
  const properties = parseProperties(result.stdout)
  const one = (name: string) => properties.get(name)?.[0] ?? ''
  if (one('Result') !== 'start-limit-hit' || one('ActiveState') !== 'failed') return
  if (one('Job') !== '' && one('Job') !== '0') return
  throw startLimit(unit, verb)
}

function refusal(unit: string, verb: ActivationVerb, result: CommandResult): OperationalError {
  if (/not applicable/.test(result.stderr))
    return new OperationalError('reload-unsupported', `could not reload ${unit}`, {
      details: { unit, stderr: firstLine(result.stderr) },
    })
  if (/repeated too quickly|start-limit-hit|attempted too often/.test(result.stderr))
    return startLimit(unit, verb)
  return activationFailed(unit, verb, result)
}

function startLimit(unit: string, verb: ActivationVerb): OperationalError {
  return new OperationalError('restart-refused', `could not ${verb} ${unit}: started too often`, {
    hint: `find out why it does not stay up (journalctl -u ${unit}), then systemctl reset-failed ${unit}`,
    details: { unit },
  })
}

function activationFailed(unit: string, what: string, result: CommandResult): OperationalError {
  return new OperationalError('activation-failed', `systemctl refused to ${what} ${unit}`, {
    details: { unit, code: result.code, stderr: firstLine(result.stderr) },
  })
}
