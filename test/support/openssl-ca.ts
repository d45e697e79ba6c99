// The CA of a security team as it is in the books: a directory, a configuration, and `openssl ca`.
// Nothing of what is under test has a part in it.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface OpensslCa {
  readonly root: string
  /** What stands between leaf and root. */
  readonly intermediate: string
  /** `openssl ca -batch`; the certificate alone. Names and uses are copied from the request. */
  sign(csrFile: string, options?: SignOptions): string
}

export interface SignOptions {
  /** In place of what the request asks for: `DNS:other.example.org`. */
  readonly names?: string
  /** Year of its beginning; it lives one year. */
  readonly year?: number
}

export function createOpensslCa(directory: string, name: string): OpensslCa {
  const place = join(directory, name)
  mkdirSync(place)
  writeFileSync(join(place, 'openssl.cnf'), CONFIGURATION)
  writeFileSync(join(place, 'index.txt'), '')
  writeFileSync(join(place, 'serial'), '1000\n')
  const openssl = (text: string, subject: readonly string[] = []) => {
    execFileSync('openssl', [...text.split(' '), ...subject], { cwd: place, stdio: 'pipe' })
  }
  const file = (path: string) => readFileSync(join(place, path), 'utf8')
  const subject = (role: string) => ['-subj', `/O=Security/CN=${name} ${role}`]
  for (const key of ['root.key', 'ca.key'])
    openssl(`genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ${key}`)
  openssl(
    'req -x509 -new -config openssl.cnf -key root.key -days 3650 -extensions root -out root.crt',
    subject('root'),
  )
  openssl('req -new -config openssl.cnf -key ca.key -out ca.csr', subject('issuing'))
  openssl(
    'x509 -req -in ca.csr -CA root.crt -CAkey root.key -CAcreateserial -days 1825 -extfile openssl.cnf -extensions issuing -out ca.crt',
  )
  return {
    root: file('root.crt'),
    intermediate: file('ca.crt'),
    sign(csrFile, { names, year } = {}) {
      const dates =
        year === undefined
          ? '-days 365'
          : `-startdate ${year}0101000000Z -enddate ${year + 1}0101000000Z`
      const renaming = '-name renaming -extfile names.cnf -extensions leaf'
      writeFileSync(join(place, 'names.cnf'), `${LEAF}subjectAltName = ${names ?? 'DNS:x'}\n`)
      const how = names === undefined ? dates : `${renaming} ${dates}`
      openssl(`ca -batch -config openssl.cnf ${how} -notext -out signed.pem -in`, [csrFile])
      return file('signed.pem')
    },
  }
}

const LEAF = `[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
`

const COMMON = `dir = .
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.crt
private_key = ca.key
default_md = sha256
policy = anything
unique_subject = no
`

const CONFIGURATION = `[ca]
default_ca = team
[team]
${COMMON}x509_extensions = leaf
copy_extensions = copy
[renaming]
${COMMON}copy_extensions = none
[anything]
commonName = optional
organizationName = optional
${LEAF}
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[issuing]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[req]
distinguished_name = dn
[dn]
`
