// The one place where zod is configured: its small build with English messages, parsing at borders
// into OperationalErrors, and the building blocks that all contracts share.

import * as z from 'zod/mini'
import en from 'zod/v4/locales/en.js'
import { OperationalError } from '../errors.ts'

z.config(en())

/** One problem of a document: where (path of keys and indexes) and what. */
export interface SchemaProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
  /** Unknown keys, when the problem is that there are some. */
  readonly unknownKeys: readonly string[]
}

/** Parses a value at a border. Throws `code` with all problems in `details.problems`. */
export function parser<T>(name: string, schema: z.ZodMiniType<T>, code = 'malformed-document') {
  return (value: unknown): T => {
    const result = schema.safeParse(value)
    if (result.success) return result.data
    const problems = problemsOf(result.error)
    throw new OperationalError(code, `${name} is not valid: ${problems.map(describe).join('; ')}`, {
      details: { problems },
    })
  }
}

export function problemsOf(error: z.core.$ZodError): readonly SchemaProblem[] {
  return error.issues.slice(0, PROBLEMS_MAX).map(issue => ({
    path: issue.path.map(part => (typeof part === 'number' ? part : String(part))),
    message: issue.message,
    unknownKeys: issue.code === 'unrecognized_keys' ? issue.keys : [],
  }))
}

// More problems than these tell a reader nothing new, and a hostile document could have millions.
const PROBLEMS_MAX = 20

function describe(problem: SchemaProblem): string {
  return problem.path.length === 0
    ? problem.message
    : `${problem.path.join('.')}: ${problem.message}`
}

// Building blocks. Bounds are part of the contract: nothing that crosses a border is unlimited.

/** Lower-case name of a node, a fleet, a label value: as a DNS label, or dotted. */
export const Name = z.string().check(z.regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/))
const LabelKey = z.string().check(z.regex(/^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/))
const LabelValue = z.string().check(z.regex(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/))
export const Labels = z.record(LabelKey, LabelValue)
/** Null takes a label away (RFC 7396). */
export const LabelChanges = z.record(LabelKey, z.nullable(LabelValue))
export type Labels = z.infer<typeof Labels>

export const Digest = z.string().check(z.regex(/^[0-9a-f]{64}$/))
export const DnsName = z.string().check(z.minLength(1), z.maxLength(253))
export const IpAddress = z.string().check(z.minLength(2), z.maxLength(45))
export const Pem = z
  .string()
  .check(z.minLength(1), z.maxLength(64 * 1024), z.startsWith('-----BEGIN '))
/** Milliseconds since the epoch. */
export const TimeMs = z.int().check(z.nonnegative())
/** A duration in milliseconds, at most 20 years. */
export const DurationMs = z.int().check(z.positive(), z.maximum(20 * 366 * 86_400_000))
export const Generation = z.int().check(z.positive())
/** Rises when a controller is restored from a backup, and never otherwise. */
export const Epoch = z.int().check(z.positive())

/** Names that a certificate carries. */
export const Names = z.strictObject({
  dns: z.array(DnsName).check(z.maxLength(64)),
  ip: z.array(IpAddress).check(z.maxLength(64)),
})
export type Names = z.infer<typeof Names>

/** Why something is as it is. Travels unchanged from plan to log, report, API and page. */
export const Reason = z.object({
  code: z.string().check(z.regex(/^[a-z0-9]+(-[a-z0-9]+)*$/), z.maxLength(64)),
  message: z.string().check(z.maxLength(4096)),
})
export type Reason = Readonly<z.infer<typeof Reason>>
