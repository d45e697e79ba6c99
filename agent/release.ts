// Makes a release: key, certificate, checks, owner and mode, all beside the one in use. Nothing
// that is live is touched. A crash leaves a directory without a chain, whose key is used again.

import { sha256 } from '../shared/digest.ts'
import { OperationalError } from '../shared/errors.ts'
import { createPublicKey } from 'node:crypto'
import type { Reason } from '../shared/contract/schema.ts'
import type { CertificateSpec } from '../shared/contract/service.ts'
import type { CertificateFacts } from '../shared/pki/facts.ts'
import {
  type KeyPair,
  generateKey,
  keyTypeOf,
  parsePrivateKey,
  publicKeyDigest,
} from '../shared/pki/keys.ts'
import { sameNames } from '../shared/pki/names.ts'
import { checkPair } from '../shared/pki/pair.ts'
import { Secret } from '../shared/secret.ts'
import type { Host } from './host.ts'
import { type LocalIssuers, type SignInternal, issueLeaf, readPair } from './issuers.ts'
import type { ActionablePlan } from './plan.ts'
import { releaseOwnership } from './planned-ownership.ts'
import {
  CHAIN_FILE,
  KEY_FILE,
  describePair,
  isFatal,
  releaseDirectory,
} from './resources/material.ts'
import { OWN } from './state-file.ts'

export interface NewRelease {
  readonly id: string
  readonly chainPem: string
  readonly facts: CertificateFacts
}

export interface ReleaseTools {
  readonly host: Host
  readonly issuers: LocalIssuers
  readonly signInternal: SignInternal | undefined
}

/** s2 and s3. Throws OperationalErrors; what it leaves behind is found and used or removed by the next attempt. */
export async function makeRelease(tools: ReleaseTools, plan: ActionablePlan): Promise<NewRelease> {
  const { host } = tools
  const { spec, owner } = { spec: plan.tls.certificate, owner: plan.facts.owner }
  if (owner === undefined)
    throw new OperationalError(
      'service-user-unknown',
      `could not find the user of ${plan.unit.unit}`,
    )
  const { directory } = plan.compiled.material
  const ownership = releaseOwnership(plan.compiled, owner, OWN)
  const nowMs = host.clock.now()

  const pair =
    spec.issuer === 'files' ? await takeOver(tools, plan) : await freshPair(tools, plan, nowMs)
  const trust = [...plan.tls.trust, ...plan.facts.issuerTrust]
  const described = describePair(Buffer.from(pair.chainPem), Buffer.from(pair.keyPem.reveal()))
  const problems: Reason[] = checkPair({
    certificatePem: pair.chainPem,
    keyPem: pair.keyPem,
    names: spec.names,
    nowMs,
    ...(trust.length === 0
      ? {}
      : { trust: described.facts.selfSigned ? [...trust, pair.chainPem] : trust }),
  }).filter(isFatal)
  // The controller knows the names; one that has others in mind would be asked again and again.
  if (spec.issuer === 'internal' && !isExactlyFor(described.facts, spec.names))
    problems.push({
      code: 'names-changed',
      message: `it is for ${[...described.facts.dnsNames, ...described.facts.ipAddresses].join(', ')}`,
    })
  if (problems.length > 0) {
    if (pair.inPlace) await host.files.remove(releaseDirectory(directory, pair.id))
    throw new OperationalError(
      'certificate-rejected',
      `the certificate for ${plan.service} is not usable: ${problems.map(problem => problem.message).join('; ')}`,
      { details: { reasons: problems }, hint: hintFor(problems[0]?.code) },
    )
  }
  const path = releaseDirectory(directory, pair.id)
  if (!pair.inPlace) await writeKey(host, path, pair.keyPem, ownership.key)
  await host.files.create(`${path}/${CHAIN_FILE}`, {
    contents: Buffer.from(pair.chainPem),
    ...ownership.chain,
    overwrite: true,
  })
  await host.files.setOwnership(`${path}/${KEY_FILE}`, ownership.key)
  await host.files.makeDirectory(path, ownership.directory)
  return { id: pair.id, chainPem: pair.chainPem, facts: described.facts }
}

function isExactlyFor(facts: CertificateFacts, names: CertificateSpec['names']): boolean {
  return sameNames({ dns: facts.dnsNames, ip: facts.ipAddresses }, names)
}

interface Pair {
  readonly id: string
  readonly keyPem: Secret
  readonly chainPem: string
  /** The key is written already. */
  readonly inPlace: boolean
}

// The key is on disk before anybody is asked to sign it, so that an answer that is lost can be
// asked for again: the same key gets the same certificate.
async function freshPair(tools: ReleaseTools, plan: ActionablePlan, nowMs: number): Promise<Pair> {
  const { host } = tools
  const { directory } = plan.compiled.material
  const owner = plan.facts.owner ?? OWN
  const ownership = releaseOwnership(plan.compiled, owner, OWN)
  const spec = plan.tls.certificate
  const left = await leftoverKey(host, plan)
  const keys = left ?? (await generateKey(spec.key))
  const id = releaseId(keys.publicKeyPem)
  if (left === undefined)
    await writeKey(host, releaseDirectory(directory, id), keys.privateKeyPem, ownership.key)
  const chainPem = await issueLeaf(host, tools.issuers, tools.signInternal, {
    service: plan.service,
    spec,
    clientUse: plan.compiled.material.clientUse,
    keys,
    nowMs,
  })
  return { id, keyPem: keys.privateKeyPem, chainPem, inPlace: true }
}

async function writeKey(
  host: Host,
  directory: string,
  key: Secret,
  ownership: { mode: number; uid: number; gid: number },
): Promise<void> {
  await host.files.makeDirectory(directory, { mode: 0o700, ...OWN })
  await host.files.create(`${directory}/${KEY_FILE}`, {
    contents: Buffer.from(key.reveal()),
    ...ownership,
    overwrite: true,
  })
}

async function leftoverKey(host: Host, plan: ActionablePlan): Promise<KeyPair | undefined> {
  const { directory } = plan.compiled.material
  let found: KeyPair | undefined
  for (const id of plan.facts.material.incomplete) {
    const path = releaseDirectory(directory, id)
    const usable =
      found === undefined
        ? await readKey(host, `${path}/${KEY_FILE}`, id, plan.tls.certificate.key)
        : undefined
    if (usable === undefined) await host.files.remove(path)
    else found = usable
  }
  return found
}

async function readKey(
  host: Host,
  path: string,
  id: string,
  type: string,
): Promise<KeyPair | undefined> {
  try {
    const bytes = await host.files.read(path)
    if (bytes === undefined) return undefined
    const privateKeyPem = new Secret(Buffer.from(bytes).toString('utf8'))
    const publicKey = createPublicKey(parsePrivateKey(privateKeyPem))
    const publicKeyPem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    return keyTypeOf(publicKey) === type && releaseId(publicKeyPem) === id
      ? { privateKeyPem, publicKeyPem }
      : undefined
  } catch {
    // Half a key is no key; a new one is made.
    return undefined
  }
}

async function takeOver(tools: ReleaseTools, plan: ActionablePlan): Promise<Pair> {
  const paths = tools.issuers.files[plan.service]
  if (paths === undefined)
    throw new OperationalError(
      'source-not-configured',
      `could not find out where the pair of ${plan.service} is`,
    )
  const { chain, key } = await readPair(tools.host, paths)
  const chainPem = Buffer.from(chain).toString('utf8')
  return {
    id: sha256(Buffer.concat([chain, key])).slice(0, ID_LENGTH),
    keyPem: new Secret(Buffer.from(key).toString('utf8')),
    chainPem,
    inPlace: false,
  }
}

/** Name of the release of a key. */
function releaseId(publicKeyPem: string): string {
  return publicKeyDigest(createPublicKey(publicKeyPem)).slice(0, ID_LENGTH)
}

// 64 bits: a node keeps a handful of releases.
const ID_LENGTH = 16

function hintFor(code: string | undefined): string {
  return HINTS.get(code ?? '') ?? 'nothing was changed; the certificate in use stays in use'
}

const HINTS: ReadonlyMap<string, string> = new Map([
  ['name-missing', 'the names in the fleet spec and those of the certificate differ'],
  ['key-mismatch', 'key and certificate belong to different requests; place both again'],
  ['expired', 'get a new certificate from its issuer'],
])
