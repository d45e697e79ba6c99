// Certificates in the files that people bring: whatever openssl makes of them.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readCertificates } from '../../../controller/cli/certificate-files.ts'
import { TAR_END, tarEntry } from '../../../controller/issuers/tar.ts'
import { pemOf } from '../../../shared/pki/pem.ts'
import { X509Certificate } from 'node:crypto'
import { createCa, issue } from '../../simulators/certificates.ts'

const directory = t.testdir()
const ca = createCa(directory)
const leaf = issue(ca, 'leaf')
const plain = (pem: string) => pemOf(new X509Certificate(pem).raw)
const [LEAF, CA] = [plain(leaf.certPem), plain(ca.certPem)]
const path = (name: string) => join(directory, name)
const openssl = (...argv: string[]) => execFileSync('openssl', argv, { stdio: 'pipe' })
const pemsIn = (...names: string[]) =>
  readCertificates(names.map(path)).certificates.map(({ pem }) => pem)

await t.test('PEM with text around it, DER and PKCS#7 hold the same certificates', t => {
  openssl('x509', '-in', leaf.certFile, '-text', '-out', path('text.pem'))
  openssl('x509', '-in', leaf.certFile, '-outform', 'DER', '-out', path('leaf.cer'))
  const both = ['-certfile', leaf.certFile, '-certfile', ca.certFile]
  openssl('crl2pkcs7', '-nocrl', ...both, '-out', path('both.p7b'))
  openssl('crl2pkcs7', '-nocrl', ...both, '-outform', 'DER', '-out', path('both.der'))

  t.strictSame(pemsIn('text.pem'), [LEAF])
  t.strictSame(pemsIn('leaf.cer'), [LEAF])
  t.strictSame(pemsIn('both.p7b').toSorted(), [LEAF, CA].toSorted())
  t.strictSame(pemsIn('both.der').toSorted(), [LEAF, CA].toSorted())
  t.strictSame(pemsIn('text.pem', 'leaf.cer', 'both.p7b').length, 2, 'each once')
  const found = readCertificates([path('both.p7b')]).certificates
  t.strictSame(
    found.filter(({ isCa }) => isCa).map(({ pem }) => pem),
    [CA],
  )
  t.end()
})

await t.test('an archive is read as tar writes it, and as it is written here', t => {
  writeFileSync(path('one.pem'), leaf.certPem)
  writeFileSync(path('two.pem'), `${leaf.certPem}${ca.certPem}`)
  execFileSync('tar', ['-cf', 'made.tar', 'one.pem', 'two.pem'], { cwd: directory })
  const own = [
    tarEntry({ name: 'index.csv', contents: Buffer.from('a,b\n'), modifiedAtMs: 0 }),
    tarEntry({ name: 'a.pem', contents: Buffer.from(leaf.certPem), modifiedAtMs: 0 }),
    TAR_END,
  ]
  writeFileSync(path('own.tar'), Buffer.concat(own))

  t.strictSame(pemsIn('made.tar'), [LEAF, CA])
  const { certificates, warnings } = readCertificates([path('own.tar')])
  t.match(certificates, [{ source: /own\.tar\/a\.pem$/, pem: LEAF }])
  t.strictSame(warnings, [])
  const list = execFileSync('tar', ['-tvf', 'own.tar'], { cwd: directory, encoding: 'utf8' })
  t.match(list, /^-rw-r--r-- 0\/0 +4 1970-01-01 .*index\.csv\n-rw.* a\.pem\n$/)
  writeFileSync(path('cut.tar'), Buffer.concat(own).subarray(0, 1400))
  t.throws(() => readCertificates([path('cut.tar')]), { code: 'file-unreadable' })
  t.end()
})

await t.test('what holds none says so; a private key stays where it is', t => {
  writeFileSync(path('with-key.pem'), `${leaf.keyPem}${leaf.certPem}`)
  writeFileSync(path('nothing.pem'), 'nothing')
  writeFileSync(
    path('broken.pem'),
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  )

  const { certificates, warnings } = readCertificates(
    ['with-key.pem', 'nothing.pem', 'broken.pem'].map(path),
  )

  t.match(warnings, [/with-key\.pem holds a private key/, /nothing\.pem holds no certificate/])
  t.strictSame(
    certificates.map(({ pem }) => pem),
    [LEAF, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
    'the controller says what is wrong with a broken one',
  )
  t.notMatch(JSON.stringify(certificates), 'PRIVATE')
  t.throws(() => readCertificates([path('absent.pem')]), { code: 'file-unreadable' })
  t.end()
})
