// Everything that waits to be signed, as one archive for whoever signs: the requests, a table of them
// and a note that says what to do. Made a page at a time, so that its size does not matter.

import type { CertificateRequestRecord } from '../store/requests-store.ts'
import type { Store } from '../store/store.ts'
import { pendingPage } from './requests.ts'
import { TAR_END, TAR_NAME_MAX, tarEntry } from './tar.ts'
import { shortId } from './wanted.ts'

export interface ExportContext {
  readonly store: Store
  readonly fleet: string
  readonly nowMs: number
}

export async function* exportRequests(context: ExportContext): AsyncGenerator<Buffer> {
  const { store, nowMs } = context
  const rows: string[] = []
  let after: number | undefined = 0
  while (after !== undefined) {
    const position: number = after
    const page = await store.transaction(tx =>
      pendingPage({ nowMs }, tx, 'csr', { after: position }),
    )
    for (const request of page.requests) {
      const name = fileNameOf(request)
      rows.push(rowOf(request, name))
      yield entry(name, request.csr, request.createdAtMs)
    }
    after = page.next
  }
  // Last, because only now it is known what is in it.
  yield entry('index.csv', `${[COLUMNS, ...rows].join('\r\n')}\r\n`, nowMs)
  yield entry('README.txt', noteFor(context, rows.length), nowMs)
  yield TAR_END
}

function entry(name: string, text: string, modifiedAtMs: number): Buffer {
  return tarEntry({ name, contents: Buffer.from(text), modifiedAtMs })
}

/** `data-1--influxdb--5f0c2a1e.csr` */
export function fileNameOf({ node, service, id }: CertificateRequestRecord): string {
  const end = `--${service}--${shortId(id)}.csr`
  // The id keeps a shortened name apart from the others.
  return `${node.slice(0, TAR_NAME_MAX - end.length)}${end}`
}

const COLUMNS = 'file,node,service,dns,ip,key,usage,lifetime_days,requested,request,sha256_of_key'

function rowOf(request: CertificateRequestRecord, file: string): string {
  const { id, node, service, names, keyType, clientUse, lifetimeMs, createdAtMs } = request
  const usage = clientUse ? 'serverAuth clientAuth' : 'serverAuth'
  const days = Math.round(lifetimeMs / 86_400_000)
  const at = new Date(createdAtMs).toISOString()
  return [
    file,
    node,
    service,
    names.dns.join(' '),
    names.ip.join(' '),
    keyType,
    usage,
    `${days}`,
    at,
    id,
    request.publicKeyDigest,
  ].join(',')
}

function noteFor({ fleet, nowMs }: ExportContext, count: number): string {
  return `Certificate requests of the fleet ${fleet}, exported ${new Date(nowMs).toISOString()}: ${count}

Each .csr file is a request (PKCS#10, PEM) that was made on the node with its own key.
index.csv lists them: for which node and service, with which names and which use.

- Copy the subject alternative names of the request into the certificate. The extended key usage
  must hold serverAuth, and clientAuth where index.csv says so.
- Sign whatever you agree with, in any order. File names do not matter: answers are matched by key.
- Give back PEM files, one certificate or many in each, with the CA certificates between yours and
  the root. All at once or bit by bit: tlsfleet csr import FILE...
- What you do not want to sign: tlsfleet csr refuse ID --reason TEXT
`
}
