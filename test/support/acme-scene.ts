// A store with a node that wants a certificate of issuer `acme`, a DNS program whose records a name
// server of the test answers, and the controller's issuer over them. No agent: the request is made here.

import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createSealing } from '../../controller/ca/sealed-key.ts'
import {
  type AcmeIssuer,
  type AcmeIssuerOptions,
  createAcmeIssuer,
} from '../../controller/issuers/acme/issuer.ts'
import type { AcmeDirectory } from '../../controller/issuers/acme/settings.ts'
import type { AcmeOrderRecord } from '../../controller/store/acme-store.ts'
import type { CertificateRequestRecord } from '../../controller/store/requests-store.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import type { Store } from '../../controller/store/store.ts'
import { systemClock } from '../../shared/clock.ts'
import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import { ServiceTls } from '../../shared/contract/service.ts'
import { silentLog } from '../../shared/log.ts'
import { buildCsr } from '../../shared/pki/csr.ts'
import { publicKeyDigest } from '../../shared/pki/keys.ts'
import { Secret } from '../../shared/secret.ts'
import { until } from '../lab/until.ts'

export const PASSPHRASE = new Secret('correct horse battery staple')

export interface AcmeScene {
  readonly directory: string
  /** Where the DNS program keeps records: `zone/fqdn/value`. */
  readonly zone: string
  readonly program: string
  readonly store: Store
  /** A request for these DNS names, of a node of its own. Gives its id. */
  request(names: readonly string[], options?: RequestOptions): Promise<string>
  read(id: string): Promise<CertificateRequestRecord>
  order(id: string): Promise<AcmeOrderRecord | undefined>
  /** Another one over the same store, after this one has ended. */
  issuer(options: IssuerOptions): TestIssuer
  /** The database, for another process while this one has closed it. */
  readonly path: string
  close(): Promise<void>
  reopen(): Promise<void>
  /** Records that were set and not removed. */
  leftovers(): readonly string[]
}

export interface RequestOptions {
  readonly trust?: readonly string[]
  readonly directory?: string
}

export type IssuerOptions = Pick<AcmeIssuerOptions, 'directories'> &
  Partial<Pick<AcmeIssuerOptions, 'httpChallenges' | 'runDns' | 'onSettled' | 'clock'>>

export interface TestIssuer extends AcmeIssuer {
  /** Ticks until the request is not pending any more. */
  settle(id: string): Promise<CertificateRequestRecord>
  /** Ticks until the request waits for a reason with this code. */
  waits(id: string, code: string): Promise<CertificateRequestRecord>
  /** As if the process had been told to end. */
  stop(): Promise<void>
}

const NO_HTTP = { show: () => {}, remove: () => {} }

export async function acmeScene(t: Test): Promise<AcmeScene> {
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-acme-'))
  const zone = join(directory, 'zone')
  mkdirSync(zone)
  const path = join(directory, 'controller.db')
  const open = () => openSqliteStore({ path, busyTimeoutMs: 2_000 })
  let store = await open()
  const issuers: TestIssuer[] = []
  t.teardown(async () => {
    for (const one of issuers) await one.stop()
    await store.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    directory,
    zone,
    program: writeDnsProgram(directory, zone),
    get store() {
      return store
    },
    request: (names, options) => addRequest(store, names, options),
    async read(id) {
      const found = await store.transaction(tx => tx.requests.get(id))
      if (found === undefined) throw new Error(`no request ${id}`)
      return found
    },
    order: id => store.transaction(tx => tx.acme.order(id)),
    issuer(options) {
      const made = testIssuer(store, options)
      issuers.push(made)
      return made
    },
    path,
    close: () => store.close(),
    async reopen() {
      store = await open()
    },
    leftovers: () => readdirSync(zone).flatMap(name => readdirSync(join(zone, name))),
  }
}

/** The directory as it would be configured; faster than a person would want it. */
export function acmeDirectory(
  given: Pick<AcmeDirectory, 'url'> & Partial<AcmeDirectory>,
): AcmeDirectory {
  return {
    name: 'corp',
    email: 'pki@example.org',
    caFile: undefined,
    eab: undefined,
    dns: undefined,
    http01: undefined,
    ipAddresses: false,
    atOnce: 4,
    ordersPerHour: 100,
    pollLimitMs: 120_000,
    retryMs: 50,
    ...given,
  }
}

// While the file `broken` is there it fails, and says what the file says.
function writeDnsProgram(directory: string, zone: string): string {
  const program = join(directory, 'dns-update')
  writeFileSync(
    program,
    `#!/bin/sh
set -eu
if [ -e '${directory}/broken' ]; then cat '${directory}/broken' >&2; exit 3; fi
name=\${2%.}
case $1 in
  present) mkdir -p "${zone}/$name"; : > "${zone}/$name/$3" ;;
  cleanup) rm -f "${zone}/$name/$3" ;;
  check)   test -e "${zone}/$name/$3"; echo "$2" >> '${directory}/checked' ;;
esac
`,
    { mode: 0o755 },
  )
  return program
}

function testIssuer(store: Store, options: IssuerOptions): TestIssuer {
  const stopping = new AbortController()
  const issuer = createAcmeIssuer({
    store,
    sealing: createSealing(PASSPHRASE),
    clock: systemClock,
    log: silentLog,
    random: randomBytes,
    signal: stopping.signal,
    httpChallenges: NO_HTTP,
    onSettled: () => {},
    pollMs: 20,
    ...options,
  })
  const read = async (id: string) => {
    await issuer.tick()
    return store.transaction(tx => tx.requests.get(id))
  }
  return {
    ...issuer,
    settle: id =>
      until(
        async () => {
          const request = await read(id)
          return request?.state !== 'pending' && request
        },
        { what: `request ${id} is settled`, timeoutMs: 120_000 },
      ),
    waits: (id, code) =>
      until(
        async () => {
          const request = await read(id)
          return request?.reason?.code === code && request
        },
        { what: `request ${id} waits for ${code}`, timeoutMs: 120_000 },
      ),
    async stop() {
      stopping.abort()
      await issuer.idle()
    },
  }
}

async function addRequest(
  store: Store,
  names: readonly string[],
  { trust = [], directory = 'corp' }: RequestOptions = {},
): Promise<string> {
  const id = randomUUID()
  const node = `n-${id.slice(0, 8)}`
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const nowMs = Date.now()
  const tls = ServiceTls.parse({
    service: 'prometheus',
    certificate: {
      issuer: 'acme',
      directory,
      names: { dns: [...names], ip: [] },
      lifetimeMs: 90 * 86_400_000,
      renewBeforeMs: 30 * 86_400_000,
    },
    trust: [...trust],
  })
  const state = sealDesiredState({
    node,
    generation: 1,
    mode: 'enforce',
    permit: true,
    content: { services: [tls] },
  })
  await store.transaction(async tx => {
    await tx.nodes.insert({
      name: node,
      labels: {},
      names: { dns: [...names], ip: [] },
      createdAtMs: nowMs,
      enrolledAtMs: nowMs,
      seenAtMs: nowMs,
    })
    await tx.desired.put({ state, revision: undefined })
    await tx.requests.insert({
      id,
      node,
      service: 'prometheus',
      issuer: 'acme',
      directory,
      publicKeyDigest: publicKeyDigest(publicKey),
      keyType: 'ec-p256',
      csr: buildCsr({ key: privateKey, names: { dns: names, ip: [] } }),
      names: { dns: [...names], ip: [] },
      clientUse: false,
      lifetimeMs: 90 * 86_400_000,
      generation: 1,
      createdAtMs: nowMs,
      reason: undefined,
    })
  })
  return id
}
