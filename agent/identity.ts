// The agent's own identity on disk: who this node is, its key, and whom it takes for its
// controller. Made by enrolment, renewed at half of its life with a new key.

import { X509Certificate, createPublicKey } from 'node:crypto'
import * as z from 'zod/mini'
import { Name, Pem, parser } from '../shared/contract/schema.ts'
import { OperationalError } from '../shared/errors.ts'
import { type KeyPair, generateKey, parsePrivateKey } from '../shared/pki/keys.ts'
import { signProof } from '../shared/pki/proof.ts'
import { Secret } from '../shared/secret.ts'
import type { Files } from './host.ts'
import type { Identity } from './remote.ts'
import { OWN } from './state-file.ts'

const IdentityDocument = z.strictObject({
  version: z.literal(1),
  fleet: Name,
  node: Name,
  agentUrl: z.string(),
  certificateChain: Pem,
  privateKey: Pem,
  identityTrust: z.array(Pem),
})

const parseIdentityDocument = parser('identity', IdentityDocument, 'identity-damaged')

/** One file, so that key and certificate are switched together by one rename. */
export function identityPath(stateDirectory: string): string {
  return `${stateDirectory}/identity.json`
}

/** Undefined: this node is not enrolled. Throws `identity-damaged`. */
export async function loadIdentity(
  files: Files,
  stateDirectory: string,
): Promise<Identity | undefined> {
  const bytes = await files.read(identityPath(stateDirectory))
  if (bytes === undefined) return undefined
  const {
    version: _,
    privateKey,
    ...rest
  } = parseIdentityDocument(parseJson(Buffer.from(bytes).toString('utf8')))
  const identity = { ...rest, privateKey: new Secret(privateKey) }
  if (!isUsable(identity))
    throw new OperationalError(
      'identity-damaged',
      `could not use the identity in ${identityPath(stateDirectory)}`,
      { hint: 'enrol this node again with a new token' },
    )
  return identity
}

// Whatever is wrong is found here, and not by the first handshake.
function isUsable({ certificateChain, privateKey, identityTrust, agentUrl }: Identity): boolean {
  try {
    for (const pem of identityTrust) void new X509Certificate(pem)
    const leaf = new X509Certificate(certificateChain)
    return URL.canParse(agentUrl) && leaf.checkPrivateKey(parsePrivateKey(privateKey))
  } catch {
    return false
  }
}

export async function storeIdentity(
  files: Files,
  stateDirectory: string,
  identity: Identity,
): Promise<void> {
  const path = identityPath(stateDirectory)
  const document = { version: 1, ...identity, privateKey: identity.privateKey.reveal() }
  const temporary = `${stateDirectory}/.tlsfleet-identity.json`
  const contents = Buffer.from(`${JSON.stringify(document)}\n`)
  await files.create(temporary, { contents, mode: 0o600, ...OWN, overwrite: true })
  await files.rename(temporary, path)
}

/** When the certificate is worth renewing: at half of its life, so that half is left for retries. */
export function identityRenewalAtMs(identity: Identity): number {
  const { validFromDate, validToDate } = new X509Certificate(identity.certificateChain)
  return (validFromDate.getTime() + validToDate.getTime()) / 2
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
