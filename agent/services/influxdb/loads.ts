// What a running influxd must have loaded, and what it takes to load another version of it.

import type { Reason } from '../../../shared/contract/schema.ts'
import type { TlsSwitch } from '../../../shared/contract/service.ts'
import type { Keys } from './keys.ts'
import type { OpenTsdb } from './opentsdb.ts'
import { changeInput, isOlderThanProcess } from '../program-age.ts'
import { because } from '../reasons.ts'
import {
  RELEASE_TOKEN,
  type DriverContext,
  type Input,
  type LoadIntent,
  type Seen,
} from '../service.ts'
import { isAtLeast, type Version } from '../version.ts'

// Before, no signal handler is there and SIGHUP ends the process, which systemd takes for a clean exit.
const HANGUP_SINCE = '1.12.3'

/** Wanted only where it decides between a signal and a restart. */
export function activationInputs(
  program: string,
  version: Version,
  context: DriverContext,
): readonly Input[] {
  return isAtLeast(version, HANGUP_SINCE) ? [changeInput(program, context)] : []
}

export function loadsFor(
  tls: TlsSwitch,
  keys: Keys,
  openTsdb: OpenTsdb,
  activation: LoadIntent['activation'],
): readonly LoadIntent[] {
  const loads: LoadIntent[] = [
    {
      name: 'listener',
      value: tls === 'on' ? 'https' : 'http',
      activation: 'restart',
      provenBy: 'handshake',
      reason: because('listener-on', 'influxd switches https on and off only when it starts'),
    },
  ]
  if (tls === 'on')
    loads.push({
      name: 'certificate',
      value: RELEASE_TOKEN,
      activation,
      provenBy: 'handshake',
      reason: certificateReason(activation),
    })
  loads.push(restartLoad('options', keys.options, 'options-loaded'))
  if (openTsdb.text !== undefined)
    loads.push(restartLoad('opentsdb', openTsdb.text, 'options-loaded'))
  // Whether a signal makes this listener read its file again is not known: it is started anew.
  if (openTsdb.isServing)
    loads.push({
      name: 'opentsdb-certificate',
      value: RELEASE_TOKEN,
      activation: 'restart',
      provenBy: 'ledger',
      reason: certificateReason('restart'),
    })
  if (keys.meta !== undefined) loads.push(restartLoad('meta', keys.meta, 'meta-loaded'))
  if (keys.cluster === undefined) return loads
  if (tls === 'off') return [...loads, restartLoad('cluster', keys.cluster, 'cluster-loaded')]
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

export function restartLoad(
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
  context: DriverContext,
): LoadIntent['activation'] {
  if (!isAtLeast(version, HANGUP_SINCE)) return 'restart'
  if (!isOlderThanProcess(program, seen, context)) return 'restart'
  return seen.unit.canReload ? 'reload' : 'hangup'
}
