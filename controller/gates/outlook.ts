// What rollouts know from outside of their nodes: looks of other agents, and gates that others judge.
// Looked at before each decision, outside of its transaction.

import type { Logger } from '../../shared/log.ts'
import { createProbeBoard, type ProbeBoard, type ProbeBoardOptions } from '../api/probe-board.ts'
import type { Rollout } from '../rollout/rollout.ts'
import type { RunnerOptions } from '../rollout/runner.ts'
import { createExternalGates, type GateServer } from './external.ts'
import { createLookout, type LookoutOptions } from './lookout.ts'

export interface Outlook {
  /** What agents are asked, and answer. */
  readonly probes: ProbeBoard
  readonly hooks: Required<
    Pick<RunnerOptions, 'vantageOf' | 'baselineOf' | 'clusterOf' | 'verdictsOf'>
  >
  /** Never rejects: without a look nothing passes, and nothing fails. */
  look(): Promise<void>
}

export type OutlookOptions = Omit<LookoutOptions, 'board' | 'onLook'> &
  Omit<ProbeBoardOptions, 'clock'> & {
    readonly log: Logger
    /** There is something new to decide by. */
    readonly onLook: () => void
    /** Who may be asked about external gates. */
    readonly gateServers: readonly GateServer[]
  }

export function createOutlook(options: OutlookOptions): Outlook {
  const probes = createProbeBoard(options)
  const onLook = (by: string) => {
    // Its groups may be led by another one, which the store does not know.
    options.presence.note(by)
    options.onLook()
  }
  const lookout = createLookout({ ...options, onLook, board: probes })
  const external = createExternalGates(options)
  return {
    probes,
    hooks: {
      vantageOf: lookout.vantageOf,
      baselineOf: rollout => lookout.baselineOf(rollout),
      clusterOf: lookout.clusterOf,
      verdictsOf(rollout: Rollout) {
        const cluster = lookout.verdictOf(rollout)
        return [...(cluster === undefined ? [] : [cluster]), ...external.verdictsOf(rollout)]
      },
    },
    async look() {
      try {
        await lookout.look()
        await external.look()
      } catch (error) {
        options.log.error({ err: error }, 'rollouts could not be looked at from outside')
      }
    },
  }
}
