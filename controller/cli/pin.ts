// First contact with a controller that is known by a pin alone: `sha256:` and the digest of the
// public key of its root CA, 64 hex digits.

import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { connect } from 'node:tls'
import { OperationalError } from '../../shared/errors.ts'
import { isSelfSigned } from '../../shared/pki/facts.ts'
import { parseCertificate, pemOf } from '../../shared/pki/pem.ts'
import { isPin, spkiPin, verifyPinnedChain } from '../../shared/pki/pin.ts'
import { connectionError } from './connection-errors.ts'

const CONNECT_TIMEOUT_MS = 15_000
// Root, intermediate and leaf are three, and two more for each of two roots before; a longer chain is not
// from tlsfleet-controller.
const CHAIN_MAX = 8

/**
 * The root certificate, as PEM, that the pin names, after the presented chain was verified against
 * it. The connection is only looked at: nothing is sent over it, and every request that follows is
 * verified by OpenSSL against what is returned. Throws `pin-mismatch` or `controller-not-trusted`.
 */
export async function fetchPinnedRoot(url: string, pin: string, nowMs: number): Promise<string> {
  const wanted = pin.trim().toLowerCase()
  if (!isPin(wanted))
    throw new OperationalError('usage', `could not read the pin ${pin}`, {
      hint: 'a pin is sha256: and 64 hex digits, as `tlsfleet init` prints it',
    })

  const chain = (await fetchChain(url)).map(der => pemOf(der))
  const broken = verifyPinnedChain(chain, wanted, { host: new URL(url).hostname, nowMs })
  // The key may be certified by the root before it as well: what is trusted from now on is the root.
  const isRoot = (pem: string) => spkiPin(pem) === wanted && isSelfSigned(parseCertificate(pem))
  const root = broken === undefined ? chain.find(isRoot) : undefined
  if (root !== undefined) return root
  const isOther = broken === undefined || broken.code === 'pin-mismatch'
  const code = isOther ? 'pin-mismatch' : 'controller-not-trusted'
  throw new OperationalError(code, `could not log in at ${url}`, {
    cause: new Error(broken?.message ?? 'the chain does not hold the pinned CA'),
    hint: isOther
      ? 'compare the pin with what `tlsfleet init` printed on the controller; someone may be in between'
      : 'the pin fits, the certificate does not: check the name in the URL and the clocks',
  })
}

function fetchChain(url: string): Promise<readonly Uint8Array[]> {
  const { hostname, port } = new URL(url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(connectionError({ attempt: 'log in', url, cause }))
    const socket = connect({
      host,
      port: port === '' ? 443 : Number(port),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      minVersion: 'TLSv1.3',
      timeout: CONNECT_TIMEOUT_MS,
      // The one place that looks at an unverified server. It sends no byte to it; see above.
      rejectUnauthorized: false,
    })
    socket.once('secureConnect', () => {
      resolve(chainOf(socket.getPeerX509Certificate()))
      socket.destroy()
    })
    socket.once('timeout', () => {
      socket.destroy()
      fail(new DOMException('no answer in time', 'TimeoutError'))
    })
    socket.once('error', fail)
  })
}

/** As sent. */
function chainOf(leaf: X509Certificate | undefined): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  for (let one = leaf; one !== undefined && chain.length < CHAIN_MAX; one = one.issuerCertificate)
    chain.push(one.raw)
  return chain
}
