// What the answers of external gates mean. Pure.

import * as z from 'zod/mini'
import type { Reason } from '../../shared/contract/schema.ts'
import type { Expectation, Verdict } from '../rollout/rollout.ts'

export interface Judgement {
  readonly verdict: Verdict
  readonly reason: Reason
}

export interface Answered {
  readonly status: number
  /** Undefined: no JSON. */
  readonly json: unknown
}

const Evidence = z.string().check(z.maxLength(2_000))
const WebhookAnswer = z.object({
  verdict: z.enum(['pass', 'fail', 'inconclusive']),
  evidence: z.optional(Evidence),
})

/** `{ verdict, evidence }` with status 200; everything else says nothing. */
export function judgeWebhook({ status, json }: Answered): Judgement {
  const answer = WebhookAnswer.safeParse(json)
  if (status !== 200 || !answer.success)
    return doubt('gate-unreadable', `answered ${status} and no verdict`)
  const { verdict, evidence = 'no evidence given' } = answer.data
  return { verdict, reason: { code: `gate-${verdict}`, message: evidence } }
}

const Sample = z.tuple([z.number(), z.string()])
const QueryAnswer = z.object({
  status: z.literal('success'),
  data: z.discriminatedUnion('resultType', [
    z.object({ resultType: z.literal('vector'), result: z.array(z.object({ value: Sample })) }),
    z.object({ resultType: z.literal('scalar'), result: Sample }),
  ]),
})

/** Of `GET /api/v1/query`. A threshold with no sample to hold against it is no answer. */
export function judgeQuery({ status, json }: Answered, expect: Expectation): Judgement {
  const answer = QueryAnswer.safeParse(json)
  if (status !== 200 || !answer.success)
    return doubt('gate-unreadable', `Prometheus answered ${status} and no vector or scalar`)
  const { data } = answer.data
  const texts =
    data.resultType === 'scalar' ? [data.result[1]] : data.result.map(({ value }) => value[1])
  const values = texts.map(numberIn)
  if (expect === 'empty') return verdictOn(values.length === 0, `${values.length} samples`)
  if (expect === 'non-empty') return verdictOn(values.length > 0, `${values.length} samples`)
  if (values.length === 0) return doubt('gate-empty', 'the query has no samples')
  const bad = values.find(value => !holds(value, expect))
  const shown = bad ?? values[0]
  return verdictOn(bad === undefined, `${shown}, expected ${expect.is} ${expect.than}`)
}

// As Prometheus writes the numbers that JSON has none for.
function numberIn(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  return text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text)
}

// Not a number holds against nothing.
function holds(value: number, { is, than }: Exclude<Expectation, string>): boolean {
  switch (is) {
    case '<':
      return value < than
    case '<=':
      return value <= than
    case '>':
      return value > than
    case '>=':
      return value >= than
    case '==':
      return value === than
  }
}

function verdictOn(isPass: boolean, message: string): Judgement {
  const verdict = isPass ? 'pass' : 'fail'
  return { verdict, reason: { code: `gate-${verdict}`, message } }
}

function doubt(code: string, message: string): Judgement {
  return { verdict: 'inconclusive', reason: { code, message } }
}
