// Makes a release: key, certificate, checks, owner and mode, all beside the one in use. Nothing
// that is live is touched. A crash leaves a directory without a chain, whose key is used again.

import { assert } from '../shared/assert.ts'
import { sha256 } from '../shared/digest.ts'
import { OperationalError } from '../shared/errors.ts'
import { createPublicKey } from 'node:crypto'
import type { Reason } from '../shared/contract/schema.ts'
import type { CertificateSpec } from '../shared/contract/service.ts'
import { type CertificateFacts, certificateFacts } from '../shared/pki/facts.ts'
import {
  type KeyPair,
  generateKey,
  keyTypeOf,
  parsePrivateKey,
  publicKeyDigest,
} from '../shared/pki/keys.ts'
import { sameNames } from '../shared/pki/names.ts'
import { checkPair } from '../shared/pki/pair.ts'
import { splitPemCertificates } from '../shared/pki/pem.ts'
import { Secret } from '../shared/secret.ts'
import { REQUEST_FILE, type RequestNote, noteText, readNote, requestNote } from './request-note.ts'
import { authoritiesOf, certifiedTls } from './client-trust.ts'
import type { Host } from './host.ts'
import { type FetchProvided, type LocalIssuers, type SignInternal, readPair } from './issuers.ts'
import { issueLeaf } from './issue-leaf.ts'
import type { ActionablePlan } from './plan.ts'
import { releaseOwnership } from './planned-ownership.ts'
import {
  CHAIN_FILE,
  KEY_FILE,
  describePair,
  isFatal,
  releaseDirectory,
} from './resources/material.ts'
import { BUNDLE_FILE, STORE_FILE, bundleOf, carriedEntry, makeStore } from './resources/store.ts'
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
  readonly fetchProvided?: FetchProvided | undefined
}

/** s2 and s3. Throws OperationalErrors; what it leaves behind is found and used or removed by the next attempt. */
export async function makeRelease(
  tools: ReleaseTools,
  plan: ActionablePlan,
  password: Secret | undefined,
): Promise<NewRelease> {
  const { host } = tools
  const certified = certifiedTls(plan.tls, plan.compiled)
  assert(certified !== undefined, 'only what needs a certificate gets a release')
  const { certificate: spec } = certified
  const { owner } = plan.facts
  if (owner === undefined)
    throw new OperationalError(
      'service-user-unknown',
      `could not find the user of ${plan.unit.unit}`,
    )
  const { directory } = plan.compiled.material
  const ownership = releaseOwnership(plan.compiled, owner, OWN)
  const nowMs = host.clock.now()

  const pair =
    spec.issuer === 'files'
      ? await takeOver(tools, plan)
      : spec.issuer === 'provided'
        ? await takeProvided(tools, plan, spec)
        : await freshPair(tools, plan, spec, nowMs)
  const trust = authoritiesOf(certified, plan.facts.issuerTrust)
  const described = describePair(Buffer.from(pair.chainPem), Buffer.from(pair.keyPem.reveal()))
  const problems: Reason[] = checkPair({
    certificatePem: pair.chainPem,
    keyPem: pair.keyPem,
    names: spec.names,
    nowMs,
    ...(isCheckedForClients(pair, spec) && plan.compiled.material.clientUse
      ? { purposes: ['server', 'client'] as const }
      : {}),
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
    // Who signs elsewhere gives the same answer for the same key; another key would be another request.
    if (pair.inPlace && pair.request === undefined)
      await host.files.remove(releaseDirectory(directory, pair.id))
    throw new OperationalError(
      'certificate-rejected',
      `the certificate for ${plan.service} is not usable: ${problems.map(problem => problem.message).join('; ')}`,
      { details: { reasons: problems }, hint: hintFor(problems[0]?.code) },
    )
  }
  const path = releaseDirectory(directory, pair.id)
  if (!pair.inPlace) await writeKey(host, path, pair.keyPem, ownership.key)
  const extras = { keyPem: pair.keyPem, chainPem: pair.chainPem, password, trust }
  await writeExtras(tools, plan, path, { ...extras, ownership })
  // Last: without it a release is not complete.
  await host.files.create(`${path}/${CHAIN_FILE}`, {
    contents: Buffer.from(pair.chainPem),
    ...ownership.chain,
    overwrite: true,
  })
  await host.files.setOwnership(`${path}/${KEY_FILE}`, ownership.key)
  await host.files.makeDirectory(path, ownership.directory)
  return { id: pair.id, chainPem: pair.chainPem, facts: described.facts }
}

// What others have signed may lack what a client must show.
function isCheckedForClients({ request }: Pair, { issuer }: CertificateSpec): boolean {
  return request !== undefined || issuer === 'provided'
}

function isExactlyFor(facts: CertificateFacts, names: CertificateSpec['names']): boolean {
  return sameNames({ dns: facts.dnsNames, ip: facts.ipAddresses }, names)
}

interface Extras {
  readonly keyPem: Secret
  readonly chainPem: string
  readonly password: Secret | undefined
  readonly trust: readonly string[]
  readonly ownership: ReturnType<typeof releaseOwnership>
}

async function writeExtras(
  { host }: ReleaseTools,
  plan: ActionablePlan,
  path: string,
  { keyPem, chainPem, password, trust, ownership }: Extras,
): Promise<void> {
  const { bundleMode, store } = plan.compiled.material
  if (bundleMode !== undefined) {
    const contents = Buffer.from(bundleOf(keyPem, chainPem).reveal())
    const file = { contents, ...ownership.bundle, overwrite: true }
    await host.files.create(`${path}/${BUNDLE_FILE}`, file)
  }
  if (store !== undefined) {
    assert(password !== undefined, 'the password is kept before anything is made with it')
    const carried = await carriedFor(host, plan, password)
    const { random } = host
    const contents = await makeStore({ keyPem, chainPem, password, trust, carried, random })
    const file = { contents, ...ownership.store, overwrite: true }
    await host.files.create(`${path}/${STORE_FILE}`, file)
  }
}

// The release in use has it after the first one; before that, what the product came with.
async function carriedFor(host: Host, plan: ActionablePlan, password: Secret) {
  const { directory, store } = plan.compiled.material
  if (store?.carry === undefined) return undefined
  const { path, alias } = store.carry
  return carriedEntry(host.files, [`${directory}/current/${STORE_FILE}`, path], alias, password)
}

interface Pair {
  readonly id: string
  readonly keyPem: Secret
  readonly chainPem: string
  /** The key is written already. */
  readonly inPlace: boolean
  /** It was signed elsewhere. */
  readonly request: RequestNote | undefined
}

// The key is on disk before anybody is asked to sign it, so that an answer that is lost can be
// asked for again: the same key gets the same certificate.
async function freshPair(
  tools: ReleaseTools,
  plan: ActionablePlan,
  spec: CertificateSpec,
  nowMs: number,
): Promise<Pair> {
  const { host } = tools
  const { directory } = plan.compiled.material
  const owner = plan.facts.owner ?? OWN
  const ownership = releaseOwnership(plan.compiled, owner, OWN)
  const request = requestNote(spec, plan.compiled.material.clientUse)
  const left = await leftoverKey(host, plan, spec.key, request)
  const keys = left ?? (await generateKey(spec.key))
  const id = releaseId(keys.publicKeyPem)
  const path = releaseDirectory(directory, id)
  if (left === undefined) {
    if (request !== undefined) await writeNote(host, path, request)
    await writeKey(host, path, keys.privateKeyPem, ownership.key)
  }
  const leaf = {
    service: plan.service,
    spec,
    clientUse: plan.compiled.material.clientUse,
    keys,
    nowMs,
  }
  try {
    const chainPem = await issueLeaf(host, tools.issuers, tools.signInternal, leaf)
    return { id, keyPem: keys.privateKeyPem, chainPem, inPlace: true, request }
  } catch (error) {
    if (left === undefined || request !== undefined || !isSpent(error)) throw error
    // Asked with it again and again, the answer would stay the same.
    await host.files.remove(path)
    return freshPair(tools, plan, spec, nowMs)
  }
}

// The certificate of a key that a crash or a lost answer has left was for a content of before, or is
// due itself by now: the controller gives no other one for it.
function isSpent(error: unknown): boolean {
  return error instanceof OperationalError && error.details['code'] === 'key-reused'
}

// Before the key: a key that waits for its answer is never taken for what a crash has left.
async function writeNote(host: Host, directory: string, note: RequestNote): Promise<void> {
  await host.files.makeDirectory(directory, { mode: 0o700, ...OWN })
  const contents = Buffer.from(noteText(note))
  const file = { contents, mode: 0o600, ...OWN, overwrite: true }
  await host.files.create(`${directory}/${REQUEST_FILE}`, file)
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

async function leftoverKey(
  host: Host,
  plan: ActionablePlan,
  type: string,
  request: RequestNote | undefined,
): Promise<KeyPair | undefined> {
  const { directory } = plan.compiled.material
  let found: KeyPair | undefined
  for (const id of plan.facts.material.incomplete) {
    const path = releaseDirectory(directory, id)
    const note = readNote(await host.files.read(`${path}/${REQUEST_FILE}`))
    // It waits for another certificate than this one, which may be wanted as well.
    if (note !== undefined && note.question !== request?.question) continue
    const usable =
      found === undefined && note?.question === request?.question
        ? await readKey(host, `${path}/${KEY_FILE}`, id, type)
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
  return madeElsewhere(Buffer.from(chain).toString('utf8'), Buffer.from(key).toString('utf8'))
}

async function takeProvided(
  { fetchProvided }: ReleaseTools,
  { service }: ActionablePlan,
  { provided }: CertificateSpec,
): Promise<Pair> {
  if (fetchProvided === undefined || provided === undefined)
    throw new OperationalError(
      'issuer-unavailable',
      `could not get a certificate for ${service}: issuer "provided" needs a controller`,
    )
  const { certificateChain, privateKey } = await fetchProvided(service)
  const leaf = splitPemCertificates(certificateChain)[0] ?? certificateChain
  // It gives what its newest document wants, which this pass may not have yet.
  if (certificateFacts(leaf).fingerprint !== provided.fingerprint)
    throw new OperationalError(
      'issuer-unavailable',
      `could not get pair ${provided.name} for ${service}: the controller has another version of it`,
      { retryable: true },
    )
  return madeElsewhere(certificateChain, privateKey.reveal())
}

// Key and chain come together, and can be had again: half of it is never completed.
function madeElsewhere(chainPem: string, key: string): Pair {
  const id = sha256(Buffer.from(`${chainPem}${key}`)).slice(0, ID_LENGTH)
  return { id, keyPem: new Secret(key), chainPem, inPlace: false, request: undefined }
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
