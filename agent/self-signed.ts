// What a node tells of its self-signed certificates: to the controller, which gives them to clients,
// and to people, where clients do not have them yet. Pure.

import { X509Certificate } from 'node:crypto'
import type { ServiceReport } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceTls } from '../shared/contract/service.ts'
import { splitPemCertificates } from '../shared/pki/pem.ts'
import { certifiedTls } from './client-trust.ts'
import type { NodeFacts } from './observation.ts'
import type { ActionablePlan } from './plan.ts'
import type { MaterialDecision, Release } from './resources/material.ts'
import { isListed } from './resources/succession.ts'
import type { Compiled } from './services/service.ts'

/** The certificate in use, and the one that follows it, also where that is only staged yet. */
export function selfSignedOf(plan: ActionablePlan): Pick<ServiceReport, 'selfSigned'> {
  const certified = certifiedTls(plan.tls, plan.compiled)
  if (certified?.certificate.issuer !== 'self-signed') return {}
  const { material, facts } = plan
  const current = currentOf(facts)
  const next = nextOf(material)
  return {
    selfSigned: {
      ...leafAs('current', current?.facts.selfSigned === true ? current : undefined),
      ...leafAs('next', next?.id === current?.id ? undefined : next),
    },
  }
}

function nextOf(material: ActionablePlan['material']): Release | undefined {
  if (material.kind === 'switch') return material.release
  return material.kind === 'keep' ? material.succession?.next : undefined
}

function leafAs(key: 'current' | 'next', release: Release | undefined) {
  const [leaf] = release === undefined ? [] : splitPemCertificates(release.chainPem)
  return leaf === undefined ? {} : { [key]: leaf }
}

export function successionNotices(
  tls: ServiceTls,
  compiled: Compiled,
  facts: Pick<NodeFacts, 'material'>,
  material: MaterialDecision,
): readonly Reason[] {
  const certified = certifiedTls(tls, compiled)
  if (certified?.certificate.issuer !== 'self-signed') return []
  if (material.kind === 'keep' && material.succession?.isAwaited === true) {
    const until = new Date(material.succession.dueAtMs).toISOString().replace(/\.\d+Z$/, 'Z')
    const message = `the next certificate of ${tls.service} waits until all clients have been given it, ${until} at the latest`
    return [{ code: 'successor-awaited', message }]
  }
  const current = currentOf(facts)
  const isKept = certified.trust.some(pem => !new X509Certificate(pem).ca)
  if (current?.facts.selfSigned !== true || !isKept || isListed(certified.trust, current)) return []
  const message = `not all clients of ${tls.service} were given the certificate that it uses`
  return [{ code: 'self-signed-not-given', message }]
}

function currentOf({ material }: Pick<NodeFacts, 'material'>): Release | undefined {
  return material.releases.find(release => release.id === material.current)
}
