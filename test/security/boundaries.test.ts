// Every limit holds where it stands: the last value inside is taken, the first one outside is not. (A
// check of length once measured another variable than the one that was used.)

import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import type * as z from 'zod/mini'
import { EnrollRequest, SignRequest } from '../../shared/contract/agent-api.ts'
import { DnsName, IpAddress, Name, Names, Pem, Reason } from '../../shared/contract/schema.ts'
import { DER_BYTES_MAX, DER_DEPTH_MAX, readDer } from '../../shared/pki/der-reader.ts'
import { weakKeyReason } from '../../shared/pki/keys.ts'
import { readCsr } from '../../shared/pki/csr-reader.ts'
import { normalizeDnsName } from '../../shared/pki/names.ts'
import { ipRangeBytes } from '../../shared/pki/profile.ts'
import { SIGN_BODY_BYTES_MAX } from '../../controller/api/agent/sign-limit.ts'
import { AGENT_ROUTES } from '../../shared/contract/protocol.ts'
import { codeOf, joinFleet, operatorOf, startController } from '../controller/api/support.ts'
import {
  KEYS,
  csrPem,
  derOf,
  dns,
  extension,
  requestOf,
  sanOf,
  seq,
  tlv,
} from '../shared/pki/hostile-csr.ts'

const isTaken = (work: () => unknown): boolean => {
  try {
    work()
    return true
  } catch {
    return false
  }
}
const takes = (schema: z.ZodMiniType) => (value: unknown) => schema.safeParse(value).success
const text = (length: number) => 'a'.repeat(length)

interface Limit {
  readonly name: string
  readonly inside: unknown
  readonly outside: unknown
  readonly takes: (value: unknown) => boolean
}

const enroll = { tokenId: 'a', tokenSecret: 'a', publicKey: '-----BEGIN ', proof: '', facts: {} }
const sign = { service: 'prometheus', publicKey: '-----BEGIN ', proof: '', generation: 1 }
const dnsName = (value: unknown) =>
  isTaken(() => normalizeDnsName(String(value), { wildcard: true }))
const range = (value: unknown) => isTaken(() => ipRangeBytes(String(value)))
const labels = (count: number, last: number) => `${`${text(61)}.`.repeat(count)}${text(last)}`
const pem = (length: number) => `-----BEGIN ${text(length - 11)}`

const LIMITS: readonly Limit[] = [
  { name: 'length of a label', inside: text(63), outside: text(64), takes: dnsName },
  { name: 'length of a name', inside: labels(4, 5), outside: labels(4, 6), takes: dnsName },
  { name: 'labels below a wildcard', inside: '*.a.b', outside: '*.a', takes: dnsName },
  { name: 'IPv4 prefix', inside: '10.0.0.1/32', outside: '10.0.0.1/33', takes: range },
  { name: 'IPv6 prefix', inside: '::1/128', outside: '::1/129', takes: range },
  { name: 'name of a node', inside: text(253), outside: text(254), takes: takes(Name) },
  { name: 'name in a document', inside: text(253), outside: text(254), takes: takes(DnsName) },
  { name: 'address in a document', inside: text(45), outside: text(46), takes: takes(IpAddress) },
  { name: 'PEM', inside: pem(65_536), outside: pem(65_537), takes: takes(Pem) },
  {
    name: 'names in a document',
    inside: { dns: Array.from({ length: 64 }, () => 'a'), ip: [] },
    outside: { dns: Array.from({ length: 65 }, () => 'a'), ip: [] },
    takes: takes(Names),
  },
  {
    name: 'text of a reason',
    inside: { code: 'a', message: text(4096) },
    outside: { code: 'a', message: text(4097) },
    takes: takes(Reason),
  },
  {
    name: 'secret of a token',
    inside: { ...enroll, tokenSecret: text(128) },
    outside: { ...enroll, tokenSecret: text(129) },
    takes: takes(EnrollRequest),
  },
  {
    name: 'proof of a key',
    inside: { ...sign, proof: text(2048) },
    outside: { ...sign, proof: text(2049) },
    takes: takes(SignRequest),
  },
  {
    name: 'generation',
    inside: { ...sign, generation: 1 },
    outside: { ...sign, generation: 0 },
    takes: takes(SignRequest),
  },
  { name: 'depth of DER', inside: DER_DEPTH_MAX, outside: DER_DEPTH_MAX + 1, takes: takesDepth },
  { name: 'bytes of DER', inside: DER_BYTES_MAX, outside: DER_BYTES_MAX + 1, takes: takesBytes },
  { name: 'bytes of a request', inside: 16_384, outside: 16_385, takes: takesCsr },
  { name: 'bits of an RSA key', inside: 2048, outside: 2040, takes: takesRsa },
]

function takesDepth(depth: unknown): boolean {
  let value = tlv(0x05)
  for (let level = 1; level < Number(depth); level++) value = seq(value)
  return isTaken(() => readDer(value))
}

function takesBytes(size: unknown): boolean {
  const value = tlv(0x04, Buffer.alloc(Number(size) - 4))
  return value.length === 65_536 && isTaken(() => readDer(value))
}

function takesCsr(size: unknown): boolean {
  const names = sanOf(dns('es-1.example'))
  // RSA: its signatures have one length.
  const having = (filler: number) => {
    const padding = extension('1.2.3', Buffer.alloc(filler))
    return derOf({ key: KEYS.rsa, attributes: [requestOf(seq(names, padding))] })
  }
  const nearly = Number(size) - having(0).length - 20
  const der = having(nearly + Number(size) - having(nearly).length)
  return der.length === Number(size) && isTaken(() => readCsr(csrPem(der)))
}

function takesRsa(modulusLength: unknown): boolean {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: Number(modulusLength) })
  return weakKeyReason(publicKey) === undefined
}

await t.test('the last one inside is taken, the first one outside is not', async t => {
  for (const { name, inside, outside, takes: asked } of LIMITS) {
    t.equal(asked(inside), true, `${name}: inside`)
    t.equal(asked(outside), false, `${name}: outside`)
  }
})

await t.test('a body is measured as it comes, not as it says', async t => {
  const running = await startController(t)
  const client = await joinFleet(running, operatorOf(running), 'n1')
  t.teardown(() => client.close())
  const filled = (bytes: number) => `{"x":"${text(bytes - 8)}"}`

  t.equal(
    codeOf(await client.post(AGENT_ROUTES.sign, filled(SIGN_BODY_BYTES_MAX))),
    'malformed-request',
  )
  t.equal(
    codeOf(await client.post(AGENT_ROUTES.sign, filled(SIGN_BODY_BYTES_MAX + 1))),
    'body-too-large',
  )
  t.equal(codeOf(await client.post(AGENT_ROUTES.report, filled(256 * 1024))), 'malformed-request')
  t.equal(codeOf(await client.post(AGENT_ROUTES.report, filled(256 * 1024 + 1))), 'body-too-large')
})
