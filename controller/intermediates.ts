// Intermediates of the CAs, on the controller's machine while the controller is stopped: renewed under a
// root that is here, or asked for where the roots are kept offline.

import type { AuthorityKind } from '../shared/contract/authorities.ts'
import { OperationalError } from '../shared/errors.ts'
import { certificateFacts } from '../shared/pki/facts.ts'
import {
  generateKey,
  parsePrivateKey,
  parsePublicKey,
  publicKeyDigest,
} from '../shared/pki/keys.ts'
import { parseCertificate, pemOf } from '../shared/pki/pem.ts'
import type { PermittedNames } from '../shared/pki/profile.ts'
import { signProof } from '../shared/pki/proof.ts'
import { openKey, requireActive, sealKey } from './authorities.ts'
import { createIntermediate } from './ca/authority.ts'
import {
  constraintsFor,
  readPending,
  readZones,
  storePending,
  storeZones,
} from './ca/ca-settings.ts'
import { nextId } from './ca/generations.ts'
import { answerFault, type IntermediateRequest, readAnswer } from './ca/intermediate-request.ts'
import { rootOffline } from './live-authorities.ts'
import { type OnController, withStore } from './stopped-store.ts'
import type { AuthorityRecord, Transaction } from './store/store.ts'

interface Wanted extends OnController {
  readonly kind: AuthorityKind
  /** In place of the zones that the fleet had; undefined: those. */
  readonly zones: PermittedNames | undefined
}

export interface RenewedIntermediate {
  readonly id: string
  readonly state: AuthorityRecord['state']
  /** False: the root is a new one, and so is the CA. */
  readonly isSameRoot: boolean
  readonly fingerprint: string
  readonly notAfterMs: number
}

/** Under the root of the CA that signs. Throws `root-offline`, `store-locked`, `not-initialised`. */
export async function renewIntermediate(wanted: Wanted): Promise<RenewedIntermediate> {
  const { kind, nowMs, random } = wanted
  return withStore(wanted, async (tx, { fleet, sealing }) => {
    const record = await requireActive(tx, kind)
    const root = openKey(record, 'root', fleet, sealing)
    if (root === undefined) throw rootOffline(kind)
    const zones = await chosenZones(tx, wanted)
    const constraints = constraintsFor(kind, zones)
    const intermediate = await createIntermediate(root, { nowMs, random, ...constraints })
    return replace(tx, record, {
      certificate: intermediate.certificatePem,
      keySealed: sealKey(sealing, intermediate, 'intermediate', random),
      nowMs,
    })
  })
}

/** For the machine that keeps the roots. The key stays here; asking again makes the one before void. */
export async function requestIntermediate(wanted: Wanted): Promise<IntermediateRequest> {
  const { kind, nowMs, random } = wanted
  const { privateKeyPem, publicKeyPem } = await generateKey('ec-p256')
  return withStore(wanted, async (tx, { fleet, sealing }) => {
    const zones = constraintsFor(kind, await chosenZones(tx, wanted)).nameConstraints
    await storePending(tx, kind, {
      publicKeyDigest: publicKeyDigest(parsePublicKey(publicKeyPem)),
      keySealed: sealKey(sealing, { kind, keyPem: privateKeyPem }, 'intermediate', random),
      requestedAtMs: nowMs,
    })
    await audit(tx, nowMs, 'ca-request', kind)
    const key = parsePrivateKey(privateKeyPem)
    return {
      format: 'tlsfleet-ca-request-1',
      fleet,
      kind,
      publicKey: publicKeyPem,
      proof: signProof({ purpose: 'ca-request', context: [fleet, kind], key }),
      ...(zones === undefined
        ? {}
        : { zones: { dnsZones: [...zones.dnsZones], ipRanges: [...zones.ipRanges] } }),
    }
  })
}

/**
 * Takes the answer. Under a root that is known it signs from now on; under a new one it is a new CA in
 * state `prepared`, which `tlsfleet ca rotate` brings in. Throws `answer-unfit`, `answer-broken`.
 */
export async function importIntermediate(
  given: OnController & { readonly text: string },
): Promise<RenewedIntermediate> {
  const { nowMs, text } = given
  const answer = readAnswer(text)
  const { kind } = answer
  return withStore(given, async (tx, { fleet }) => {
    if (answer.fleet !== fleet) throw unfit(`it is for fleet ${answer.fleet}, this is ${fleet}`)
    const pending = await readPending(tx, kind)
    if (pending === undefined) throw unfit(`no request for a ${kind} CA is open`)
    const zones = constraintsFor(kind, await readZones(tx)).nameConstraints
    const { publicKeyDigest: digest } = pending
    const fault = answerFault(answer, { publicKeyDigest: digest, zones, nowMs })
    if (fault !== undefined) throw unfit(fault)
    await storePending(tx, kind, undefined)
    const root = pemOf(parseCertificate(answer.root).raw)
    const next = {
      certificate: pemOf(parseCertificate(answer.intermediate).raw),
      keySealed: pending.keySealed,
      nowMs,
    }
    const records = await tx.authorities.list(kind)
    const same = records.find(({ rootCertificate }) => rootCertificate === root)
    if (same?.state === 'denied') throw unfit(`its root is that of ${same.id}, which is denied`)
    if (same !== undefined) return replace(tx, same, next)
    const record: AuthorityRecord = {
      id: nextId(kind, records),
      kind,
      state: 'prepared',
      rootCertificate: root,
      intermediateCertificate: next.certificate,
      formerIntermediates: [],
      rootKeySealed: undefined,
      intermediateKeySealed: next.keySealed,
      formerKeySealed: undefined,
      taintedAtMs: undefined,
      createdAtMs: nowMs,
      changedAtMs: nowMs,
    }
    await tx.authorities.insert(record)
    await audit(tx, nowMs, 'ca-import', record.id)
    return resultOf(record, next.certificate, false)
  })
}

async function replace(
  tx: Transaction,
  record: AuthorityRecord,
  next: { readonly certificate: string; readonly keySealed: string; readonly nowMs: number },
): Promise<RenewedIntermediate> {
  const { certificate, keySealed, nowMs } = next
  await tx.authorities.replaceIntermediate(record.id, { certificate, keySealed })
  await audit(tx, nowMs, 'ca-intermediate', record.id)
  return resultOf(record, certificate, true)
}

function resultOf(
  { id, state }: AuthorityRecord,
  certificate: string,
  isSameRoot: boolean,
): RenewedIntermediate {
  const { fingerprint, notAfterMs } = certificateFacts(certificate)
  return { id, state, isSameRoot, fingerprint, notAfterMs }
}

async function chosenZones(
  tx: Transaction,
  { kind, zones }: Wanted,
): Promise<PermittedNames | undefined> {
  if (zones === undefined) return readZones(tx)
  if (kind !== 'service')
    throw new OperationalError('usage', 'zones are for the service CA: identities have no names')
  await storeZones(tx, zones)
  return zones
}

function audit(tx: Transaction, atMs: number, action: string, subject: string): Promise<void> {
  return tx.audit.append({ atMs, actor: 'local', action, subject })
}

function unfit(why: string): OperationalError {
  return new OperationalError('answer-unfit', `could not import the answer: ${why}`, {
    hint: 'Nothing was changed.',
  })
}
