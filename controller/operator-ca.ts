// The CA that operators' client certificates come from: one that the operator runs. Ours cannot be it: a stolen
// key of a node or of a service would then be an operator's.

import { readFileSync } from 'node:fs'
import { OperationalError } from '../shared/errors.ts'
import { publicKeyDigest } from '../shared/pki/keys.ts'
import { parseCertificate, splitPemCertificates } from '../shared/pki/pem.ts'
import type { Store } from './store/store.ts'

/** PEM certificates; undefined: none is configured. Throws `config-invalid`. */
export async function readOperatorCa(
  path: string | undefined,
  store: Store,
): Promise<readonly string[] | undefined> {
  if (path === undefined) return undefined
  const refused = (why: string, cause?: unknown) =>
    new OperationalError('config-invalid', `could not use operators.clientCa ${path}: ${why}`, {
      cause,
      hint: 'It is a PEM file with the certificate of the CA that signs client certificates of operators.',
    })
  const certificates = splitPemCertificates(read(path, refused))
  if (certificates.length === 0) throw refused('it holds no certificate')
  const ours = await ourKeys(store)
  for (const pem of certificates) {
    const certificate = parse(pem, refused)
    if (!certificate.ca) throw refused(`${certificate.subject} is not a CA`)
    if (ours.has(publicKeyDigest(certificate.publicKey)))
      throw refused('it is a CA of this controller, which signs for nodes')
  }
  return certificates
}

type Refused = (why: string, cause?: unknown) => OperationalError

function read(path: string, refused: Refused): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw refused('it cannot be read', cause)
  }
}

function parse(pem: string, refused: Refused) {
  try {
    return parseCertificate(pem)
  } catch (cause) {
    throw refused('it holds a certificate that cannot be read', cause)
  }
}

async function ourKeys(store: Store): Promise<ReadonlySet<string>> {
  const records = await store.transaction(async tx => [
    ...(await tx.authorities.list('identity')),
    ...(await tx.authorities.list('service')),
  ])
  const pems = records.flatMap(({ rootCertificate, intermediateCertificate }) => [
    rootCertificate,
    intermediateCertificate,
  ])
  return new Set(
    pems.flatMap(splitPemCertificates).map(pem => publicKeyDigest(parseCertificate(pem).publicKey)),
  )
}
