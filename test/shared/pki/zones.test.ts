import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createAuthority } from '../../../controller/ca/authority.ts'
import { decryptKey, encryptKey } from '../../../shared/pki/encrypted-key.ts'
import { generateKey, parsePrivateKey } from '../../../shared/pki/keys.ts'
import {
  constraintsOf,
  outsideZones,
  parseZones,
  permittedNames,
} from '../../../shared/pki/zones.ts'
import { Secret } from '../../../shared/secret.ts'

await t.test('zones are read in any spelling, and written in one', t => {
  t.equal(parseZones([], []), undefined)
  t.same(
    parseZones(['.Prod.Example.', 'prod.example', 'a.test'], ['2001:DB8:0::/32', '10.0.0.0/8']),
    {
      dnsZones: ['a.test', 'prod.example'],
      ipRanges: ['10.0.0.0/8', '2001:db8::/32'],
    },
  )
  for (const zone of ['10.0.0.1', '*.prod.example', ''])
    t.throws(() => parseZones([zone], []), { code: 'name-invalid' }, `zone ${zone}`)
  for (const range of ['10.0.0.0', '10.0.0.1/8', '10.0.0.0/33', 'example/8'])
    t.throws(() => parseZones([], [range]), { code: 'name-invalid' }, `range ${range}`)
  t.end()
})

await t.test('a certificate says its zones, and what is outside of them', async t => {
  const zones = parseZones(['prod.example'], ['10.0.0.0/9', '192.0.2.17/32'])
  t.ok(zones)
  if (zones === undefined) return
  const { intermediate } = await createAuthority({
    kind: 'service',
    fleet: 'demo',
    nowMs: Date.now(),
    random: randomBytes,
    nameConstraints: zones,
  })
  const constraints = constraintsOf(intermediate.certificatePem)
  t.ok(constraints)
  if (constraints === undefined) return
  t.same(permittedNames(constraints), {
    dns: ['prod.example'],
    ip: ['10.0.0.0/9', '192.0.2.17/32'],
  })

  const judge = (dns: string[], ip: string[] = []) => outsideZones({ dns, ip }, constraints)
  t.equal(judge(['prod.example', 'a.b.prod.example'], ['10.127.0.1', '192.0.2.17']), undefined)
  t.equal(
    judge(['a.prod.example', 'b.test']),
    'b.test is outside of the zones of the service CA (prod.example, 10.0.0.0/9, 192.0.2.17/32)',
  )
  t.match(judge(['notprod.example']), /^notprod\.example is outside/)
  t.match(judge([], ['10.128.0.1']), /^10\.128\.0\.1 is outside/)
  t.match(
    judge([], ['2001:db8::1']),
    /^2001:db8::1 is outside/,
    'no range of its kind is permitted',
  )
  t.equal(outsideZones({ dns: ['any.test'], ip: [] }, undefined), undefined)
})

await t.test('an encrypted key opens with its passphrase, here and in OpenSSL', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-key-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const { privateKeyPem } = await generateKey('ec-p256')
  const passphrase = new Secret('correct horse battery staple')

  const pem = encryptKey(privateKeyPem, passphrase, randomBytes)

  t.notMatch(pem, privateKeyPem.reveal().split('\n')[1])
  const opened = decryptKey(pem, passphrase, 'root.key')
  t.ok(parsePrivateKey(opened).equals(parsePrivateKey(privateKeyPem)))
  t.throws(() => decryptKey(pem, new Secret('wrong'), 'root.key'), { code: 'wrong-passphrase' })
  t.throws(() => decryptKey(privateKeyPem.reveal(), passphrase, 'root.key'), {
    code: 'key-unparsable',
  })
  t.not(encryptKey(privateKeyPem, passphrase, randomBytes), pem, 'salted')
  writeFileSync(join(directory, 'key'), pem)
  writeFileSync(join(directory, 'passphrase'), passphrase.reveal(), { mode: 0o600 })
  const plain = execFileSync(
    'openssl',
    ['pkey', '-in', join(directory, 'key'), '-passin', `file:${join(directory, 'passphrase')}`],
    { encoding: 'utf8' },
  )
  t.ok(parsePrivateKey(new Secret(plain)).equals(parsePrivateKey(privateKeyPem)))
})
