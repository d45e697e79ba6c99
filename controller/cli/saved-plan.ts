// A plan in a file: the spec and the digest of what was shown, so that exactly that is applied later,
// by whoever has the file.

import { readFileSync, statSync, writeFileSync } from 'node:fs'
import * as z from 'zod/mini'
import type { PlanView } from '../../shared/contract/operator-api.ts'
import { NO_PLAN, RolloutPlanView } from '../../shared/contract/rollout-plan.ts'
import { Digest, parser } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { SpecFile } from './session.ts'

const SavedPlan = z.strictObject({
  version: z.literal(1),
  digest: z.union([Digest, z.literal(NO_PLAN)]),
  /** Name of the spec's file, as problems in it name it. */
  name: z.string(),
  spec: z.string(),
  /** For people and programs that look into the file. */
  rollout: z.optional(RolloutPlanView),
})
type SavedPlan = Readonly<z.infer<typeof SavedPlan>>

const parseSaved = parser('saved plan', SavedPlan, 'plan-unreadable')

/** Throws `file-unwritable`, also when the file is there already: a plan is not replaced unseen. */
export function savePlan(path: string, { digest, rollout }: PlanView, spec: SpecFile): void {
  if (digest === undefined)
    throw new OperationalError('plan-unsupported', 'this controller makes no plans to be kept')
  const saved: SavedPlan = {
    version: 1,
    digest,
    name: spec.name,
    spec: spec.text,
    ...(rollout === undefined ? {} : { rollout }),
  }
  try {
    writeFileSync(path, `${JSON.stringify(saved, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
  } catch (cause) {
    throw new OperationalError('file-unwritable', `could not write ${path}`, { cause })
  }
}

const BYTES_MAX = 64 * 1024 * 1024

export interface GivenPlan {
  readonly digest: string
  /** Undefined: the digest alone was given. */
  readonly spec: SpecFile | undefined
  /** Groups that it changes as a whole. */
  readonly together?: readonly string[] | undefined
}

/** A digest, or the file of a saved plan. */
export function readPlan(given: string): GivenPlan {
  if (/^[0-9a-f]{64}$/.test(given) || given === NO_PLAN) return { digest: given, spec: undefined }
  const { digest, name, spec, rollout } = readSaved(given)
  return { digest, spec: { name, text: spec }, together: rollout?.together }
}

function readSaved(path: string): SavedPlan {
  try {
    if (statSync(path).size > BYTES_MAX) throw new Error('it is too large')
    return parseSaved(JSON.parse(readFileSync(path, 'utf8')))
  } catch (cause) {
    throw new OperationalError('plan-unreadable', `could not read the plan ${path}`, {
      cause,
      hint: 'give the digest that tlsfleet plan prints, or a file that tlsfleet plan --out wrote',
    })
  }
}
