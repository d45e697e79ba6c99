// Keys, chains and files for the tests of PKCS#12.

import { createPrivateKey } from 'node:crypto'
import { type TLSSocket, connect } from 'node:tls'
import { sha256 } from '../../../shared/digest.ts'
import type { KeyType } from '../../../shared/contract/service.ts'
import { generateKey } from '../../../shared/pki/keys.ts'
import { parseCertificate, splitPemCertificates } from '../../../shared/pki/pem.ts'
import { Secret } from '../../../shared/secret.ts'
import { createTestCa } from './support.ts'

export const PASSWORD = new Secret('correct horse "battery" $taple')

export interface Material {
  readonly keyPem: Secret
  /** Leaf, intermediate, root. */
  readonly chainPem: string
}

export function createMaterial(seed: string) {
  const ca = createTestCa(seed)
  const withKey = (key: ReturnType<typeof createPrivateKey>): Material => {
    const leaf = ca.server(['localhost'], ['127.0.0.1'], { key, nowMs: Date.now() })
    return { keyPem: new Secret(leaf.keyPem), chainPem: chainOf(leaf.pem) }
  }
  const chainOf = (leafPem: string) => leafPem + ca.intermediate.pem + ca.root.pem
  const leaf = (): Material => {
    const holder = ca.server(['localhost'], ['127.0.0.1'])
    return { keyPem: new Secret(holder.keyPem), chainPem: chainOf(holder.pem) }
  }
  const ofType = async (type: KeyType): Promise<Material> => {
    const { privateKeyPem } = await generateKey(type)
    return withKey(createPrivateKey(privateKeyPem.reveal()))
  }
  return { ca, leaf, ofType }
}

export function fingerprints(pems: string): readonly string[] {
  return splitPemCertificates(pems).map(pem => sha256(parseCertificate(pem).raw))
}

/** What a TLS server on the loopback really sends: nothing is trusted, so nothing is added. */
export async function servedChain(port: number): Promise<readonly string[]> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ca: [] })
  try {
    await new Promise((resolve, reject) => {
      socket.once('secureConnect', resolve)
      socket.once('error', reject)
    })
    return [...peerCertificates(socket)]
  } finally {
    socket.destroy()
  }
}

function* peerCertificates(socket: TLSSocket): Generator<string> {
  let current = socket.getPeerX509Certificate()
  const seen = new Set<string>()
  while (current !== undefined) {
    const fingerprint = sha256(current.raw)
    if (seen.has(fingerprint)) return
    seen.add(fingerprint)
    yield fingerprint
    current = current.issuerCertificate
  }
}
