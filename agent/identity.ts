// The agent's own identity on disk: who this node is, its key, and whom it takes for its
// controller. Made by enrolment, renewed at half of its life with a new key. A new one lies beside
// the one in force until the controller has accepted it: at every moment there is one that works.

import { X509Certificate, createPublicKey } from 'node:crypto'
import * as z from 'zod/mini'
import { Digest, Name, Pem, parser } from '../shared/contract/schema.ts'
import { sha256 } from '../shared/digest.ts'
import { OperationalError } from '../shared/errors.ts'
import { type KeyPair, generateKey, parsePrivateKey } from '../shared/pki/keys.ts'
import { signProof } from '../shared/pki/proof.ts'
import { renewAtMs } from '../shared/pki/renewal.ts'
import { Secret } from '../shared/secret.ts'
import type { Files } from './host.ts'
import type { Identity } from './remote.ts'
import { OWN } from './state-file.ts'

const IdentityDocument = z.strictObject({
  version: z.literal(1),
  fleet: Name,
  node: Name,
  agentUrl: z.string(),
  enrollUrl: z.optional(z.string()),
  certificateChain: Pem,
  privateKey: Pem,
  identityTrust: z.array(Pem),
  /** In a successor: fingerprint of the certificate that it is to replace. */
  replaces: z.optional(Digest),
})

const parseIdentityDocument = parser('identity', IdentityDocument, 'identity-damaged')

/** One file, so that key and certificate are switched together by one rename. */
export function identityPath(stateDirectory: string): string {
  return `${stateDirectory}/identity.json`
}

/** The renewed identity, until the controller has accepted it. */
export function successorPath(stateDirectory: string): string {
  return `${stateDirectory}/identity-next.json`
}

/** Undefined: this node is not enrolled. Throws `identity-damaged`. */
export async function loadIdentity(
  files: Files,
  stateDirectory: string,
): Promise<Identity | undefined> {
  try {
    return (await readIdentity(files, identityPath(stateDirectory)))?.identity
  } catch (error) {
    if (!isDamage(error)) throw error
    // A renewal that was under way may have left one that is whole.
    const successor = await readIdentity(files, successorPath(stateDirectory)).catch(ignoreDamage)
    if (successor === undefined) throw error
    await acceptSuccessor(files, stateDirectory)
    return successor.identity
  }
}

/** One that a crash left, or an answer that was lost. What does not follow `current` is cleared away. */
export async function loadSuccessor(
  files: Files,
  stateDirectory: string,
  current: Identity,
): Promise<Identity | undefined> {
  const path = successorPath(stateDirectory)
  const found = await readIdentity(files, path).catch(ignoreDamage)
  if (found?.replaces === identityFingerprint(current)) return found.identity
  await files.remove(path)
  return undefined
}

async function readIdentity(
  files: Files,
  path: string,
): Promise<{ readonly identity: Identity; readonly replaces: string | undefined } | undefined> {
  const bytes = await files.read(path)
  if (bytes === undefined) return undefined
  const {
    version: _,
    privateKey,
    replaces,
    ...rest
  } = parseIdentityDocument(parseJson(Buffer.from(bytes).toString('utf8')))
  const identity = { ...rest, privateKey: new Secret(privateKey) }
  if (!isUsable(identity))
    throw new OperationalError('identity-damaged', `could not use the identity in ${path}`, {
      hint: 'enrol this node again with a new token',
    })
  return { identity, replaces }
}

function isDamage(error: unknown): boolean {
  return error instanceof OperationalError && error.code === 'identity-damaged'
}

function ignoreDamage(error: unknown): undefined {
  if (!isDamage(error)) throw error
}

// Whatever is wrong is found here, and not by the first handshake.
function isUsable(identity: Identity): boolean {
  const { certificateChain, privateKey, identityTrust, agentUrl, enrollUrl = agentUrl } = identity
  try {
    for (const pem of identityTrust) void new X509Certificate(pem)
    const leaf = new X509Certificate(certificateChain)
    const isReachable = URL.canParse(agentUrl) && URL.canParse(enrollUrl)
    return isReachable && leaf.checkPrivateKey(parsePrivateKey(privateKey))
  } catch {
    return false
  }
}

/** Of an enrolment, which the controller has accepted by definition: nothing follows it yet. */
export async function storeIdentity(
  files: Files,
  stateDirectory: string,
  identity: Identity,
): Promise<void> {
  await writeIdentity(files, identityPath(stateDirectory), { ...identity })
  await files.remove(successorPath(stateDirectory))
}

/** Beside `current`, which stays in force. */
export async function storeSuccessor(
  files: Files,
  stateDirectory: string,
  { current, successor }: { readonly current: Identity; readonly successor: Identity },
): Promise<void> {
  const replaces = identityFingerprint(current)
  await writeIdentity(files, successorPath(stateDirectory), { ...successor, replaces })
}

/** The same identity, with other roots to know controllers by; of the one in force and of what follows it. */
export async function storeRoots(
  files: Files,
  stateDirectory: string,
  { current, successor }: { readonly current: Identity; readonly successor: Identity | undefined },
): Promise<void> {
  await writeIdentity(files, identityPath(stateDirectory), current)
  if (successor !== undefined) await storeSuccessor(files, stateDirectory, { current, successor })
}

/** The controller has accepted it: the one before is gone with the same rename. */
export async function acceptSuccessor(files: Files, stateDirectory: string): Promise<void> {
  await files.rename(successorPath(stateDirectory), identityPath(stateDirectory))
}

/** The controller does not take it. */
export async function dropSuccessor(files: Files, stateDirectory: string): Promise<void> {
  await files.remove(successorPath(stateDirectory))
}

async function writeIdentity(
  files: Files,
  path: string,
  identity: Identity & { readonly replaces?: string },
): Promise<void> {
  const document = { version: 1, ...identity, privateKey: identity.privateKey.reveal() }
  const slash = path.lastIndexOf('/') + 1
  const temporary = `${path.slice(0, slash)}.tlsfleet-${path.slice(slash)}`
  const contents = Buffer.from(`${JSON.stringify(document)}\n`)
  await files.create(temporary, { contents, mode: 0o600, ...OWN, overwrite: true })
  await files.rename(temporary, path)
}

/** SHA-256 of the certificate, as the controller's records name it. */
export function identityFingerprint({ certificateChain }: Identity): string {
  return sha256(new X509Certificate(certificateChain).raw)
}

/**
 * When the certificate is worth renewing: at half of its life, so that half is left for retries, and
 * a little later by its serial number: a fleet that was enrolled in one minute does not renew in one.
 */
export function identityRenewalAtMs({ certificateChain }: Identity): number {
  const { validFromDate, validToDate, serialNumber } = new X509Certificate(certificateChain)
  const [notBeforeMs, notAfterMs] = [validFromDate.getTime(), validToDate.getTime()]
  const renewBeforeMs = (notAfterMs - notBeforeMs) / 2
  return renewAtMs({ notBeforeMs, notAfterMs, serial: serialNumber, renewBeforeMs })
}

export function identityEndsAtMs(identity: Identity): number {
  return new X509Certificate(identity.certificateChain).validToDate.getTime()
}

/** A new key, and the proof that it is there. */
export async function newIdentityKey(
  node: string,
): Promise<{ readonly keys: KeyPair; readonly proof: string }> {
  const keys = await generateKey('ec-p256')
  return {
    keys,
    proof: signProof({
      purpose: 'renew',
      context: [node],
      key: parsePrivateKey(keys.privateKeyPem),
    }),
  }
}

/** Proof for a service key, bound to this node and this service. */
export function proveServiceKey(node: string, service: string, keys: KeyPair): string {
  return signProof({
    purpose: 'sign',
    context: [node, service],
    key: parsePrivateKey(keys.privateKeyPem),
  })
}

/** Does a chain that came back belong to the key that it was asked for? */
export function isForKey(chainPem: string, keys: KeyPair): boolean {
  try {
    return new X509Certificate(chainPem).publicKey.equals(createPublicKey(keys.publicKeyPem))
  } catch {
    // Not even a certificate.
    return false
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
