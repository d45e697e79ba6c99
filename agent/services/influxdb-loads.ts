// What a running influxd must have loaded, and what it takes to load another version of it.

import type { Reason } from '../../shared/contract/schema.ts'
import type { Keys } from './influxdb-keys.ts'
import { because } from './reasons.ts'
import { RELEASE_TOKEN, type Input, type LoadIntent, type Seen } from './service.ts'
import { isAtLeast, type Version } from './version.ts'

// Before, no signal handler is there and SIGHUP ends the process, which systemd takes for a clean exit.
const HANGUP_SINCE = '1.12.3'

/** Wanted only where it decides between a signal and a restart. */
export function activationInputs(program: string, version: Version): readonly Input[] {
  return isAtLeast(version, HANGUP_SINCE) ? [changeInput(program)] : []
}

export function loadsFor(keys: Keys, activation: LoadIntent['activation']): readonly LoadIntent[] {
  const loads: LoadIntent[] = [
    {
      name: 'listener',
      value: 'https',
      activation: 'restart',
      provenBy: 'handshake',
      reason: because('listener-on', 'influxd switches https on and off only when it starts'),
    },
    {
      name: 'certificate',
      value: RELEASE_TOKEN,
      activation,
      provenBy: 'handshake',
      reason: certificateReason(activation),
    },
    restartLoad('options', keys.options, 'options-loaded'),
  ]
  if (keys.meta !== undefined) loads.push(restartLoad('meta', keys.meta, 'meta-loaded'))
  if (keys.cluster === undefined) return loads
  return [
    ...loads,
    restartLoad('cluster', keys.cluster, 'cluster-loaded'),
    // The listener for other data nodes speaks a protocol of its own and is not asked.
    {
      name: 'cluster-certificate',
      value: RELEASE_TOKEN,
      activation,
      provenBy: 'ledger',
      reason: certificateReason(activation),
    },
  ]
}

function restartLoad(
  name: string,
  value: string,
  code: 'options-loaded' | 'meta-loaded' | 'cluster-loaded',
): LoadIntent {
  const reason = because(code, 'influxd reads these settings only when it starts')
  return { name, value, activation: 'restart', provenBy: 'ledger', reason }
}

function certificateReason(activation: LoadIntent['activation']): Reason {
  const how = activation === 'restart' ? 'only when it starts' : 'again on SIGHUP'
  return because('certificate-loaded', `influxd reads certificate and key ${how}`)
}

/**
 * SIGHUP is death to an influxd before 1.12.3, and the program on disk may be newer than the running
 * one. So the program must not have changed since the process was started.
 */
export function certificateActivation(
  program: string,
  version: Version,
  seen: Seen,
): LoadIntent['activation'] {
  if (!isAtLeast(version, HANGUP_SINCE)) return 'restart'
  const { startedAtMs, canReload } = seen.unit
  const changed = seen.command(changeInput(program).argv)
  if (startedAtMs === undefined || changed?.kind !== 'ran' || changed.code !== 0) return 'restart'
  const seconds = /^(\d+)\n?$/.exec(changed.stdout)?.[1]
  // The change was somewhere in that second.
  if (seconds === undefined || (Number(seconds) + 1) * 1000 > startedAtMs) return 'restart'
  return canReload ? 'reload' : 'hangup'
}

function changeInput(program: string): Input & { readonly kind: 'command' } {
  const argv = ['/usr/bin/stat', '-L', '-c', '%Z', program]
  return { kind: 'command', argv, asService: false, dependsOn: [program] }
}
