// `systemctl show`: units that are asked for together are shown together, by one systemctl.

import type { UnitState } from '../host.ts'
import {
  firstLine,
  parseProperties,
  type Properties,
  type Systemctl,
  unreachableManager,
} from './systemctl.ts'
import { UNIT_PROPERTIES, unitStateOf } from './unit-state.ts'

/** Undefined: no such unit is installed. Throws `service-manager-unreachable`. */
export type ShowUnit = (unit: string) => Promise<UnitState | undefined>

/** It learns once whether this systemctl can print UTC (since systemd 248). */
export function createShow(systemctl: Systemctl): ShowUnit {
  const properties = `--property=${UNIT_PROPERTIES.join(',')}`
  let inUtc: readonly string[] = ['--timestamp=us+utc']

  const ask = async (units: readonly string[]) => {
    const result = await systemctl(['show', ...units, properties, ...inUtc])
    const isOld = inUtc.length > 0 && /timestamp|Invalid value/.test(result.stderr)
    if (result.code === 0 || !isOld) return result
    inUtc = []
    return systemctl(['show', ...units, properties])
  }

  const showOne: ShowUnit = async unit => {
    const result = await ask([unit])
    if (result.code !== 0) {
      if (/not loaded|not found|could not be found/.test(result.stderr)) return undefined
      throw unreachableManager(['show', unit], { stderr: firstLine(result.stderr) })
    }
    return unitStateOf(unit, parseProperties(result.stdout), timeNow())
  }

  return inTurn(async units => {
    const [first] = units
    if (first !== undefined && units.length === 1) return [showOne(first)]
    const result = await ask(units)
    const shown = result.code === 0 ? blocksOf(result.stdout) : []
    // It tells of all or of none, and not which of them it does not know.
    if (shown.length !== units.length) return units.map(showOne)
    const now = timeNow()
    return shown.map((block, index) => unitStateOf(units[index] ?? '', block, now))
  })
}

/** One unit, one block, in the order of the question. */
function blocksOf(output: string): readonly Properties[] {
  return output.trim().split(/\n\n+/).map(parseProperties)
}

function timeNow() {
  return { wallMs: Date.now(), monotonicMs: Number(process.hrtime.bigint()) / 1e6 }
}

type State = UnitState | undefined

interface Asked {
  readonly unit: string
  readonly resolve: (state: State | Promise<State>) => void
  readonly reject: (error: unknown) => void
}

/** What is asked for before anything else happens is one question. */
function inTurn(
  show: (units: readonly string[]) => Promise<readonly (State | Promise<State>)[]>,
): ShowUnit {
  let waiting: Asked[] = []
  const askAll = async () => {
    const asked = waiting
    waiting = []
    try {
      const states = await show(asked.map(({ unit }) => unit))
      for (const [index, { resolve }] of asked.entries()) resolve(states[index])
    } catch (error) {
      for (const { reject } of asked) reject(error)
    }
  }
  return unit =>
    new Promise((resolve, reject) => {
      waiting.push({ unit, resolve, reject })
      if (waiting.length === 1) queueMicrotask(() => void askAll())
    })
}
