// The lab of a tap test file: the file is skipped with the reason where no lab can run; the lab is
// down at its end, and every journal is in the output when it failed.

import type { Test } from 'tap'
import { createLab, type Lab, type LabOptions, labUnavailable } from './lab.ts'

// tap's own 30 s are too short for a lab on a machine with all cores busy elsewhere.
const TIMEOUT_MS = 1_180_000

/** Once a file, on its top-level `t`, with all of its tests in `body`. */
export async function withLab(
  t: Test,
  options: LabOptions,
  body: (lab: Lab) => Promise<void>,
): Promise<void> {
  const why = labUnavailable()
  if (why !== undefined) {
    t.plan(0, why)
    return
  }
  t.setTimeout(TIMEOUT_MS)
  const lab = await createLab(options)
  t.teardown(async () => {
    try {
      if (!t.passing()) t.comment(await lab.journals())
    } finally {
      await lab.down()
    }
  })
  await body(lab)
}
