// How far the controller is with asking nodes for a plan: one line that is redrawn on a terminal, a plain
// line now and then elsewhere. On standard error, so that the plan alone is the output.

import type { PlanProgress } from '../../shared/contract/operator-api.ts'
import type { Session } from './output.ts'
import { count } from './views/words.ts'

export interface Asking {
  update(progress: PlanProgress): void
  /** Leaves nothing of the line behind. */
  stop(): void
}

// A plan that is there by then needs no lines in a log.
const LINE_EVERY_MS = 2_000
const CLEAR_LINE = '\r\u001b[2K'

/** For programs nothing is told. */
export function askingProgress({ terminal, json, clock }: Session): Asking {
  if (json) return { update() {}, stop() {} }
  if (terminal.errorIsTerminal) {
    let isShown = false
    return {
      update(progress) {
        isShown = true
        terminal.err(`${CLEAR_LINE}${askingText(progress)} …`)
      },
      stop: () => (isShown ? terminal.err(CLEAR_LINE) : undefined),
    }
  }
  let lastMs = clock.monotonic()
  return {
    update(progress) {
      const nowMs = clock.monotonic()
      if (nowMs - lastMs < LINE_EVERY_MS) return
      lastMs = nowMs
      terminal.err(`${askingText(progress)}\n`)
    },
    stop() {},
  }
}

function askingText({ of, answered, silent }: PlanProgress): string {
  const none = silent === 0 ? '' : `, ${silent} are silent`
  return `asking what would change: ${answered} of ${count(of, 'node')} answered${none}`
}
