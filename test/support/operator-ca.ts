// The CA of a company that operators have client certificates from, made with `openssl`.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface OperatorCa {
  /** PEM file with its certificate. */
  readonly file: string
  /** `names`: `URI:spiffe://…` or `email:…`, separated by commas. */
  issue(names: string, more?: IssueOptions): OperatorCertificate
}

export interface IssueOptions {
  readonly usage?: string
  /** The tests' clock is that of the machine: a certificate of the past. */
  readonly isOld?: boolean
}

export interface OperatorCertificate {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
  readonly serial: string
}

export function createOperatorCa(directory: string, name: string): OperatorCa {
  const place = join(directory, name)
  mkdirSync(place)
  const openssl = (...parts: readonly (string | readonly string[])[]) =>
    execFileSync('openssl', parts.flat(), { cwd: place, stdio: 'pipe', encoding: 'utf8' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl(
    ['req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '3650'],
    ['-subj', `/CN=${name}`, '-addext', 'basicConstraints=critical,CA:TRUE'],
  )
  let issued = 0
  return {
    file: join(place, 'ca.pem'),
    issue(names, { usage = 'clientAuth', isOld = false } = {}) {
      issued++
      const [certFile, keyFile] = [join(place, `${issued}.pem`), join(place, `${issued}.key`)]
      openssl('req', ...newKey, '-keyout', keyFile, '-out', 'leaf.csr', '-subj', '/CN=x')
      const dates = isOld
        ? ['20200101000000Z', '20210101000000Z']
        : ['20200101000000Z', '20990101000000Z']
      writeFileSync(
        join(place, 'leaf.cnf'),
        `[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n[leaf]\nbasicConstraints=CA:FALSE\nextendedKeyUsage=${usage}\nsubjectAltName=${names}\n`,
      )
      if (issued === 1) {
        writeFileSync(join(place, 'index.txt'), '')
        writeFileSync(join(place, 'serial'), '0A01\n')
      }
      openssl(
        ['ca', '-batch', '-config', 'leaf.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key'],
        ['-extensions', 'leaf', '-notext', '-in', 'leaf.csr', '-out', certFile],
        ['-startdate', dates[0] ?? '', '-enddate', dates[1] ?? ''],
      )
      const serial = openssl('x509', '-in', certFile, '-noout', '-serial')
        .trim()
        .slice('serial='.length)
      const read = (file: string) => readFileSync(file, 'utf8')
      return { certFile, keyFile, cert: read(certFile), key: read(keyFile), serial }
    },
  }
}
