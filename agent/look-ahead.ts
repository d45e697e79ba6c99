// Units that will be asked for are asked for now: the service manager answers while this process is
// busy with something else.

import type { Services } from './host.ts'

/** The first question for each of `units` has the answer of now, all others have one of their own. */
export function lookAhead(services: Services, units: readonly string[]): Services {
  const shown = new Map(units.map(unit => [unit, services.show(unit)]))
  // Who asks is told; nobody may.
  for (const state of shown.values()) state.catch(() => {})
  return {
    ...services,
    async show(unit) {
      const state = shown.get(unit) ?? services.show(unit)
      shown.delete(unit)
      return state
    },
  }
}
