// A CA for tests: real certificates in a millisecond each.

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
} from 'node:crypto'
import {
  buildCertificate,
  buildSelfSigned,
  nameOf,
  signatureAlgorithm,
} from '../../../shared/pki/certificate.ts'
import { contextSeq, bit, encode, int, raw, seq, time } from '../../../shared/pki/der.ts'
import { spkiOf } from '../../../shared/pki/keys.ts'
import { pemOf } from '../../../shared/pki/pem.ts'
import type { CertificateProfile } from '../../../shared/pki/profile.ts'
import { serialNumber } from '../../../shared/pki/random.ts'

export const DAY_MS = 86_400_000

export interface Pair {
  readonly certificatePem: string
  readonly keyPem: string
}

export interface Leaf {
  readonly profile: CertificateProfile
  /** From now, in days. */
  readonly startsIn?: number
  readonly endsIn?: number
  readonly commonName?: string
}

export interface TestCa extends Pair {
  issue(leaf: Leaf): Pair
  /** A leaf whose name is in the subject only, as before 2017. */
  issueWithoutSan(commonName: string): Pair
}

export function serverProfile(
  dns: readonly string[],
  ip: readonly string[] = [],
): CertificateProfile {
  return { kind: 'server', names: { dns, ip }, clientAuth: false }
}

export function createTestCa(commonName = 'test root'): TestCa {
  const now = Math.floor(Date.now() / 1000) * 1000
  const key = newKey()
  const certificatePem = buildSelfSigned({
    subject: { commonName },
    serial: serialNumber(randomBytes),
    notBeforeMs: now - 100 * DAY_MS,
    notAfterMs: now + 100 * DAY_MS,
    profile: { kind: 'root' },
    key: createPrivateKey(key),
  })
  const signer = createPrivateKey(key)

  return {
    certificatePem,
    keyPem: key,
    issue({ profile, startsIn = -1, endsIn = 1, commonName: name }) {
      const keyPem = newKey()
      const pem = buildCertificate({
        subject: name === undefined ? {} : { commonName: name },
        serial: serialNumber(randomBytes),
        notBeforeMs: now + startsIn * DAY_MS,
        notAfterMs: now + endsIn * DAY_MS,
        profile,
        subjectPublicKey: createPublicKey(keyPem),
        issuer: { certificatePem, key: signer },
      })
      return { certificatePem: pem, keyPem }
    },
    issueWithoutSan(name) {
      const keyPem = newKey()
      const algorithm = signatureAlgorithm(signer)
      const tbs = seq(
        contextSeq(0, int(2)),
        int(serialNumber(randomBytes)),
        algorithm,
        nameOf({ commonName }),
        seq(time(now - DAY_MS), time(now + DAY_MS)),
        nameOf({ commonName: name }),
        raw(spkiOf(createPublicKey(keyPem))),
      )
      const signature = bit(sign('sha256', encode(tbs), signer))
      return { certificatePem: pemOf(encode(seq(tbs, algorithm, signature))), keyPem }
    },
  }
}

export function selfSigned(dns: readonly string[]): Pair {
  const now = Math.floor(Date.now() / 1000) * 1000
  const keyPem = newKey()
  const certificatePem = buildSelfSigned({
    subject: {},
    serial: serialNumber(randomBytes),
    notBeforeMs: now - DAY_MS,
    notAfterMs: now + DAY_MS,
    profile: serverProfile(dns),
    key: createPrivateKey(keyPem),
  })
  return { certificatePem, keyPem }
}

function newKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}
