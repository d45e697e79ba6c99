// Proof that whoever asks for a certificate holds the private key: a signature over what is asked
// for. It takes the place of a CSR towards our own CA, so there is no request format to parse.

import { type KeyObject, sign, verify } from 'node:crypto'
import { assert } from '../assert.ts'
import { publicKeyDigest } from './keys.ts'

export type ProofPurpose = 'enroll' | 'sign' | 'renew' | 'renew-expired' | 'ca-request'

export interface ProofSubject {
  readonly purpose: ProofPurpose
  /** What the proof is for, such as token id or node name. One line each. */
  readonly context: readonly string[]
}

/** Base64. */
export function signProof(subject: ProofSubject & { readonly key: KeyObject }): string {
  assert(subject.context.every(isOneLine), 'the context of a proof has one line per entry')
  return sign('sha256', proofText(subject, subject.key), subject.key).toString('base64')
}

/** False for anything that is not exactly the proof of this key for this subject. */
export function verifyProof(
  subject: ProofSubject & { readonly publicKey: KeyObject; readonly proof: string },
): boolean {
  const { publicKey, proof } = subject
  // A line break would let one context pass for another. The context may come from the wire, so
  // this is an answer and not an assertion.
  if (!subject.context.every(isOneLine)) return false
  if (proof.length > PROOF_LENGTH_MAX || !/^[A-Za-z0-9+/]+={0,2}$/.test(proof)) return false
  try {
    return verify('sha256', proofText(subject, publicKey), publicKey, Buffer.from(proof, 'base64'))
  } catch {
    // Keys that cannot make such signatures (Ed25519) throw instead of answering.
    return false
  }
}

// RSA of 8192 bits has signatures of 1368 characters.
const PROOF_LENGTH_MAX = 2048

function proofText({ purpose, context }: ProofSubject, key: KeyObject): Buffer {
  return Buffer.from(['tlsfleet proof v1', purpose, ...context, publicKeyDigest(key)].join('\n'))
}

function isOneLine(text: string): boolean {
  return !/[\n\r\0]/.test(text)
}
