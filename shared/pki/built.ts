// Reads back what was built: a certificate leaves this program only if OpenSSL's parser finds in it
// exactly what was asked for.

import type { KeyObject, X509Certificate } from 'node:crypto'
import { assert } from '../assert.ts'
import { isSameKey } from './keys.ts'
import { ipText, ipBytes, sameSet } from './names.ts'
import { parseCertificate, pemOf } from './pem.ts'
import { isSignedBy } from './facts.ts'
import { type CertificateProfile, isCaProfile, purposesOf } from './profile.ts'

export interface Built {
  readonly der: Buffer
  readonly request: {
    readonly serial: Uint8Array
    readonly notBeforeMs: number
    readonly notAfterMs: number
    readonly profile: CertificateProfile
  }
  readonly subjectPublicKey: KeyObject
  readonly issuer: X509Certificate
}

/** The certificate as PEM; a difference is a bug of this program. */
export function checkBuilt({ der, request, subjectPublicKey, issuer }: Built): string {
  const certificate = parseCertificate(der)
  const { profile } = request
  const serial = Buffer.from(request.serial).toString('hex')

  assert(certificate.ca === isCaProfile(profile), 'built certificate has another CA flag')
  assert(
    certificate.validFromDate.getTime() === request.notBeforeMs,
    'built certificate starts at another time',
  )
  assert(
    certificate.validToDate.getTime() === request.notAfterMs,
    'built certificate ends at another time',
  )
  assert(
    certificate.serialNumber.toLowerCase() === serial,
    'built certificate has another serial number',
  )
  assert(
    isSameKey(certificate.publicKey, subjectPublicKey),
    'built certificate has another public key',
  )
  assert(sameSet(namesSeen(certificate), namesWanted(profile)), 'built certificate has other names')
  assert(
    sameSet(certificate.keyUsage ?? [], purposesOf(profile)),
    'built certificate has another purpose',
  )
  assert(isSignedBy(certificate, issuer), 'built certificate has a signature that does not verify')
  return pemOf(der)
}

function namesWanted(profile: CertificateProfile): readonly string[] {
  if (profile.kind === 'root' || profile.kind === 'intermediate') return []
  const names = profile.kind === 'server' ? profile.names : { dns: [], ip: [] }
  return [
    ...names.dns.map(name => `DNS:${name}`),
    ...names.ip.map(address => `IP Address:${ipText(ipBytes(address))}`),
    ...(profile.uris ?? []).map(uri => `URI:${uri}`),
  ]
}

// OpenSSL's own text, not that of our reader: two readers that agree are the point. A name with a
// comma or a quote would come out in quotes and differ from every name that may be asked for.
function namesSeen(certificate: X509Certificate): readonly string[] {
  const text = certificate.subjectAltName
  if (text === undefined) return []
  return text.split(', ').map(entry => {
    const address = /^IP Address:(.*)$/.exec(entry)?.[1]
    return address === undefined ? entry : `IP Address:${ipText(ipBytes(address))}`
  })
}
