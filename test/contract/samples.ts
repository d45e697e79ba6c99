// Values that the tests of store and rollouts have in common; only what a test is about is named in it.

import { contentDigestOf, type DesiredContent } from '../../shared/contract/desired-state.ts'
import type { OutcomeKind, Report } from '../../shared/contract/report.ts'
import { makePlan } from '../../controller/rollout/plan.ts'
import type { Now, Plan, PlannedNode, RolloutPlan } from '../../controller/rollout/rollout.ts'
import type { GivenSettings } from '../../controller/rollout/settings.ts'
import type {
  EnrollmentTokenRecord,
  IdentityRecord,
  NodeRecord,
} from '../../controller/store/store.ts'
import { sha256 } from '../../shared/digest.ts'

export const T0 = 1_800_000_000_000

export function sampleNode(name: string): NodeRecord {
  return {
    name,
    labels: { role: 'db' },
    names: { dns: [`${name}.test`], ip: ['192.0.2.1'] },
    createdAtMs: T0,
    enrolledAtMs: undefined,
    seenAtMs: undefined,
  }
}

/** Contents that differ in `variant` differ in their digest. */
export function sampleContent(node: string, variant = 1): DesiredContent {
  return {
    services: [
      {
        service: 'prometheus',
        tls: 'on',
        upstreams: [],
        upstreamTrust: [],
        certificate: {
          issuer: 'internal',
          names: { dns: [`${node}.test`], ip: [] },
          key: 'ec-p256',
          lifetimeMs: 86_400_000 * variant,
          renewBeforeMs: 28_800_000,
        },
        trust: [],
        clientAuth: 'none',
        minVersion: '1.2',
        verify: { stableForMs: 5_000, deadlineMs: 300_000 },
        options: { externalUrl: 'manage' },
      },
    ],
  }
}

export function samplePlannedNode(node: string, variant = 1, from?: string): PlannedNode {
  const content = sampleContent(node, variant)
  return { node, from, to: contentDigestOf(content), content }
}

export function samplePlan(names: readonly string[], variant = 1): RolloutPlan {
  const nodes = names.map(name => samplePlannedNode(name, variant))
  return { revision: variant, author: 'ada', nodes }
}

/** One batch, in the order of the request. */
export function planOf(request: RolloutPlan, settings: GivenSettings = {}): Plan {
  const plan = makePlan({
    request,
    settings: { ramp: [], ...settings },
    groups: [],
    conditionOf: () => 'well',
  })
  const order = request.nodes.map(({ node }) => node)
  const phases = plan.phases.map(phase => ({
    ...phase,
    batches: phase.batches.map(batch => ({
      ...batch,
      nodes: batch.nodes.toSorted((a, b) => order.indexOf(a.node) - order.indexOf(b.node)),
    })),
  }))
  return { ...plan, phases }
}

/** Both clocks, `ms` after the beginning. */
export function nowAt(ms = 0): Now {
  return { atMs: T0 + ms, timeMs: ms }
}

export interface SampleReport {
  readonly sequence?: number
  readonly generation?: number
  readonly digest?: string
  readonly outcome?: OutcomeKind
  readonly code?: string
  readonly activations?: number
}

export function sampleReport(options: SampleReport = {}): Report {
  const { sequence = 1, generation, digest, outcome = 'in-sync', activations = 0 } = options
  const reason = { code: options.code ?? outcome, message: `the service is ${outcome}` }
  return {
    sequence,
    atMs: T0,
    agentVersion: '0.1.0',
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(digest === undefined ? {} : { observedDigest: digest }),
    services: [
      {
        service: 'prometheus',
        outcome,
        reason,
        corrective: false,
        activation: 'none',
        activationReason: reason,
        changes: [],
        served: [],
        notices: [],
        activations,
      },
    ],
    facts: {},
  }
}

export function sampleToken(id: string, node: string): EnrollmentTokenRecord {
  return {
    id,
    node,
    secretHash: sha256(id),
    expiresAtMs: T0 + 3_600_000,
    redeemedBy: undefined,
    createdAtMs: T0,
  }
}

export function sampleIdentity(
  fingerprint: string,
  node: string,
  key: string,
  times: Partial<IdentityRecord> = {},
): Omit<IdentityRecord, 'generation'> {
  return {
    fingerprint: sha256(fingerprint),
    node,
    publicKeyDigest: sha256(key),
    certificateChain: 'chain',
    notAfterMs: T0 + 100,
    issuedAtMs: T0,
    confirmedAtMs: undefined,
    deniedAtMs: undefined,
    deniedFor: undefined,
    ...times,
  }
}
