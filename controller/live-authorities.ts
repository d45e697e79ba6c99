// The CAs of a running controller: opened at start, and again whenever a transaction has changed them.

import type { Clock } from '../shared/clock.ts'
import { OperationalError } from '../shared/errors.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import type { ServerCertificate } from './api/app.ts'
import { type CurrentAuthorities, makeAuthority, openAuthorities, openKey } from './authorities.ts'
import { crossCertify } from './ca/authority.ts'
import { areRootsOffline, constraintsFor, readZones } from './ca/ca-settings.ts'
import { nextId } from './ca/generations.ts'
import type { Sealing } from './ca/sealed-key.ts'
import { issueServerCertificate, SERVER_LIFETIME_MS } from './server-certificate.ts'
import type { AuthorityKind, AuthorityRecord, Store, Transaction } from './store/store.ts'

export interface LiveAuthorities {
  current(): CurrentAuthorities
  reload(): Promise<void>
  /** Of our own listeners, by the identity CA that signs now. */
  issueServerCertificate(): Promise<ServerTls>
  /** The next CA of the kind, in state `prepared`; in no store yet. Throws `root-offline`. */
  make(kind: AuthorityKind): Promise<AuthorityRecord>
}

export interface ServerTls {
  /** The chain leads to earlier roots too, which may be all that somebody knows who was away. */
  readonly certificate: ServerCertificate
  /** CAs of agents' certificates. */
  readonly clientCa: readonly string[]
}

export interface LiveAuthoritiesOptions {
  readonly store: Store
  readonly sealing: Sealing
  readonly fleet: string
  readonly publicNames: readonly string[]
  readonly clock: Clock
  readonly random: RandomBytes
}

interface Opened {
  readonly authorities: CurrentAuthorities
  readonly bridges: Bridges
}

interface Bridges {
  /** The active root, signed by earlier ones. */
  readonly crossed: readonly string[]
  /** Those of them that are still trusted: outstanding tokens name their keys. */
  readonly roots: readonly string[]
}

/** Throws `not-initialised`, `wrong-passphrase`. */
export async function createLiveAuthorities(
  options: LiveAuthoritiesOptions,
): Promise<LiveAuthorities> {
  const { store, sealing, fleet, publicNames, clock, random } = options
  const open = () =>
    store.transaction(async (tx): Promise<Opened> => {
      const authorities = await openAuthorities(tx, fleet, sealing)
      return { authorities, bridges: await bridgesOf(tx, authorities, options) }
    })
  let opened = await open()
  return {
    current: () => opened.authorities,
    async reload() {
      opened = await open()
    },
    async issueServerCertificate() {
      const { authorities, bridges } = opened
      const { identity } = authorities
      const issued = await issueServerCertificate({
        issuer: identity.issuer,
        publicNames,
        nowMs: clock.now(),
        random,
      })
      const { keyPem, chainPem } = issued
      // OpenSSL takes the first certificate that fits: the way to an earlier root must come before the
      // root that an agent does not know. Who knows it goes no further than to it.
      const chain = [chainPem, ...bridges.crossed, identity.root, ...bridges.roots].join('')
      return {
        certificate: { keyPem, chainPem: chain },
        clientCa: [...identity.roots, ...identity.issuers],
      }
    },
    async make(kind) {
      const { records, zones } = await store.transaction(async tx => {
        if (await areRootsOffline(tx)) throw rootOffline(kind)
        return { records: await tx.authorities.list(kind), zones: await readZones(tx) }
      })
      const id = nextId(kind, records)
      const issuing = { nowMs: clock.now(), random }
      return makeAuthority({ id, kind, fleet, ...issuing, ...constraintsFor(kind, zones) }, sealing)
    },
  }
}

export function rootOffline(kind: AuthorityKind): OperationalError {
  return new OperationalError(
    'root-offline',
    `could not make a ${kind} CA: the roots of this fleet are kept offline`,
    {
      hint: 'make it on the machine that keeps them and bring it here: tlsfleet-controller ca request, ca sign, ca import',
    },
  )
}

// A chain of the handshake is read by everybody who connects; an agent that missed two rotations is
// as good as a new one.
const BRIDGES_MAX = 2

/**
 * An agent that was away while the identity CA changed knows an earlier root only. As long as that one
 * is neither denied nor tainted, it vouches for the one of now, and for a while only.
 */
async function bridgesOf(
  tx: Transaction,
  { identity }: CurrentAuthorities,
  { fleet, sealing, clock, random }: LiveAuthoritiesOptions,
): Promise<Bridges> {
  const records = await tx.authorities.list('identity')
  const earlier = records
    .filter(({ state, taintedAtMs }) => isEarlier(state) && taintedAtMs === undefined)
    .toSorted((a, b) => b.changedAtMs - a.changedAtMs)
  const bridges = earlier.flatMap(record => {
    const by = openKey(record, 'root', fleet, sealing)
    if (by === undefined) return []
    const crossed = crossCertify(identity.root, by, {
      nowMs: clock.now(),
      random,
      lifetimeMs: SERVER_LIFETIME_MS,
    })
    return crossed === undefined ? [] : [{ crossed, record }]
  })
  const taken = bridges.slice(0, BRIDGES_MAX)
  return {
    crossed: taken.map(({ crossed }) => crossed),
    roots: taken
      .filter(({ record }) => record.state === 'outgoing')
      .map(({ record }) => record.rootCertificate),
  }
}

function isEarlier(state: AuthorityRecord['state']): boolean {
  return state === 'outgoing' || state === 'retired'
}
