// Pairs for issuer `provided`: upload, list, show, remove. A key comes in here and leaves by no
// route of this listener.

import * as z from 'zod/mini'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import {
  PRIVATE_KEY_CHARACTERS_MAX,
  ProvidedList,
  ProvidedStored,
  ProvidedUpload,
  ProvidedView,
} from '../../../shared/contract/provided.ts'
import { Name, type Reason } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import { Secret } from '../../../shared/secret.ts'
import { sealProvidedKey } from '../../ca/provided-key.ts'
import { isPublic, judgeUpload, standingOf } from '../../certificates/provided-pair.ts'
import type { ProvidedRecord, Transaction } from '../../store/store.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { reasonOf, Why } from '../fields.ts'
import { PAGE_QUERY, pageOfAll } from '../paging.ts'
import { requireVersion, tellVersion } from '../versions.ts'
import {
  createPublishedUses,
  currentOf,
  type PairUse,
  type PublishedUses,
  rolloutUses,
  selectedByRevision,
} from '../provided-pairs.ts'

const Params = z.strictObject({ name: Name })

/** A chain with a few intermediates, CA certificates, a key, and JSON around them. */
const UPLOAD_BYTES_MAX = 8 * PRIVATE_KEY_CHARACTERS_MAX

export function providedRoutes(app: App, context: ApiContext): void {
  const published = createPublishedUses()
  readRoutes(app, context, published)
  uploadRoute(app, context, published)
  removeRoute(app, context, published)
}

function readRoutes(app: App, context: ApiContext, published: PublishedUses): void {
  const { store } = context
  app.get(
    OPERATOR_ROUTES.provided,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'List uploaded pairs of issuer `provided`, without their keys',
        querystring: z.strictObject(PAGE_QUERY),
        response: { 200: ProvidedList },
      },
    },
    ({ query }) =>
      store.transaction(async tx => {
        const records = await tx.provided.list()
        const uses = await published.read(tx)
        const keyOf = (one: ProvidedRecord) => one.name
        const { shown, next } = pageOfAll('provided', query, { all: currentOf(records), keyOf })
        return { provided: shown.map(one => viewOf(context, one, records, uses)), ...next }
      }),
  )

  app.get(
    OPERATOR_ROUTES.providedPair,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'Show an uploaded pair, who uses it, and what is wrong with it by now',
        params: Params,
        response: { 200: ProvidedView },
      },
    },
    (request, reply) =>
      store.transaction(async tx => {
        const view = await requireView(context, tx, request.params.name, published)
        tellVersion(reply, view.fingerprint)
        return view
      }),
  )
}

function uploadRoute(app: App, context: ApiContext, published: PublishedUses): void {
  const { store, clock, log, sealing, random, publicRoots } = context
  app.put(
    OPERATOR_ROUTES.providedPair,
    {
      config: { policy: { kind: 'operator', role: 'admin' } },
      bodyLimit: UPLOAD_BYTES_MAX,
      schema: {
        summary: 'Upload key and chain for issuer `provided`, or their next version',
        description:
          'The key is write-only. Nodes get the new version when a fleet spec is planned and applied.',
        params: Params,
        body: ProvidedUpload,
        response: { 200: ProvidedStored, 201: ProvidedStored },
      },
    },
    async (request, reply) => {
      const { name: actor } = operatorOf(request)
      const { name } = request.params
      const { certificateChain, privateKey, trust = [] } = request.body
      const nowMs = clock.now()
      const upload = { chainPem: certificateChain, keyPem: new Secret(privateKey), trust }
      const judgement = judgeUpload(upload, publicRoots, nowMs)
      if (judgement.kind === 'refused') throw refused(name, judgement.reasons)
      const { chainPem, trustPem, keyPem, facts } = judgement.pair
      const { fingerprint } = facts
      const record: ProvidedRecord = {
        name,
        fingerprint,
        certificateChain: chainPem,
        trust: trustPem,
        keySealed: sealProvidedKey(sealing, name, keyPem, random),
        uploadedAtMs: nowMs,
        uploadedBy: actor,
      }
      const stored = await store.transaction(async tx => {
        const before = await tx.provided.current(name)
        requireVersion(request, `pair ${name}`, before?.fingerprint ?? 'none')
        const isUnchanged = before !== undefined && isSame(before, record)
        if (!isUnchanged) {
          await tx.provided.put(record)
          const subject = `${name}/${fingerprint}`
          const reason = reasonOf('provided-upload', request.body.reason)
          const entry = { atMs: nowMs, actor, action: 'provided-upload', subject, ...reason }
          await tx.audit.append(entry)
        }
        const view = await requireView(context, tx, name, published)
        const outdated = view.usedBy.filter(use => use.fingerprint !== fingerprint)
        return { isNew: before === undefined, answer: { provided: view, isUnchanged, outdated } }
      })
      log.info({ actor, pair: name, fingerprint }, 'pair uploaded')
      return reply.code(stored.isNew ? 201 : 200).send(stored.answer)
    },
  )
}

function removeRoute(app: App, { store, clock, log }: ApiContext, published: PublishedUses): void {
  app.delete(
    OPERATOR_ROUTES.providedPair,
    {
      config: { policy: { kind: 'operator', role: 'admin' } },
      schema: {
        summary: 'Remove an uploaded pair that no node and no fleet spec needs',
        params: Params,
        querystring: z.strictObject({ reason: z.optional(Why) }),
        response: { 204: z.undefined() },
      },
    },
    async (request, reply) => {
      const { name: actor } = operatorOf(request)
      const { name } = request.params
      await store.transaction(async tx => {
        const versions = (await tx.provided.list()).filter(one => one.name === name)
        const last = await tx.provided.current(name)
        if (last === undefined) throw unknownPair(name)
        requireVersion(request, `pair ${name}`, last.fingerprint)
        const uses = [...(await published.read(tx)), ...(await rolloutUses(tx))]
        await requireUnused(tx, name, uses)
        for (const { fingerprint } of versions) await tx.provided.remove(name, fingerprint)
        const entry = { atMs: clock.now(), actor, action: 'provided-remove', subject: name }
        await tx.audit.append({ ...entry, ...reasonOf('provided-remove', request.query.reason) })
      })
      log.info({ actor, pair: name }, 'pair removed')
      return reply.code(204).send()
    },
  )
}

// Sealed anew, the same key looks different: the leaf says which one it is.
function isSame(a: ProvidedRecord, b: ProvidedRecord): boolean {
  return a.certificateChain === b.certificateChain && a.trust === b.trust
}

const NAMED_MAX = 10

async function requireUnused(
  tx: Transaction,
  name: string,
  uses: readonly PairUse[],
): Promise<void> {
  const revision = await selectedByRevision(tx, name)
  const users = uses.filter(use => use.name === name).map(({ node }) => node)
  const nodes = [...new Set([...users, ...revision.nodes])].toSorted()
  if (nodes.length === 0 && !revision.isNamed) return
  const shown = nodes.slice(0, NAMED_MAX).join(', ')
  const more = nodes.length > NAMED_MAX ? ` and ${nodes.length - NAMED_MAX} more` : ''
  const who = nodes.length === 0 ? 'the latest fleet spec' : `${shown}${more}`
  throw new OperationalError('provided-in-use', `pair ${name} is used by ${who}`, {
    hint: 'Apply a fleet spec that does not select it, then remove it.',
    details: { nodes },
  })
}

async function requireView(
  context: ApiContext,
  tx: Transaction,
  name: string,
  published: PublishedUses,
): Promise<ProvidedView> {
  const records = await tx.provided.list()
  const record = currentOf(records).find(one => one.name === name)
  if (record === undefined) throw unknownPair(name)
  return viewOf(context, record, records, await published.read(tx))
}

function unknownPair(name: string): OperationalError {
  return new OperationalError('not-found', `there is no pair ${name}`)
}

function viewOf(
  { publicRoots, clock }: ApiContext,
  record: ProvidedRecord,
  records: readonly ProvidedRecord[],
  uses: readonly PairUse[],
): ProvidedView {
  const { name, fingerprint, certificateChain, uploadedAtMs, uploadedBy } = record
  const facts = factsOf(record)
  const { problems, warnings } = standingOf(record, publicRoots, clock.now())
  return {
    name,
    fingerprint,
    subject: facts.subject,
    issuer: facts.issuer,
    names: { dns: [...facts.dnsNames], ip: [...facts.ipAddresses] },
    keyType: facts.keyType,
    notBeforeMs: facts.notBeforeMs,
    notAfterMs: facts.notAfterMs,
    isPublic: isPublic(certificateChain, publicRoots),
    uploadedAtMs,
    uploadedBy,
    problems: [...problems],
    warnings: [...warnings],
    usedBy: uses
      .filter(use => use.name === name)
      .map(use => ({ node: use.node, service: use.service, fingerprint: use.fingerprint })),
    previous: records
      .filter(one => one.name === name && one.fingerprint !== fingerprint)
      .map(one => ({
        fingerprint: one.fingerprint,
        notAfterMs: factsOf(one).notAfterMs,
        uploadedAtMs: one.uploadedAtMs,
      })),
  }
}

function factsOf({ certificateChain }: ProvidedRecord) {
  return certificateFacts(splitPemCertificates(certificateChain)[0] ?? certificateChain)
}

function refused(name: string, reasons: readonly Reason[]): OperationalError {
  const [first] = reasons
  const hint = HINTS.get(first?.code ?? '')
  const message = `pair ${name} is not usable: ${reasons.map(one => one.message).join('; ')}`
  return new OperationalError('provided-refused', message, {
    details: { reasons },
    ...(hint === undefined ? {} : { hint }),
  })
}

const PRIVATE_CA_HINT =
  'The chain needs every certificate but the root; of a private CA, upload its root along with it.'

const HINTS: ReadonlyMap<string, string> = new Map([
  [
    'key-encrypted',
    'Upload the key without its passphrase: openssl pkey -in KEY -out PLAIN. The controller seals it.',
  ],
  ['key-mismatch', 'Key and certificate belong to different requests.'],
  ['chain-order', 'The leaf comes first, then its issuer, and so on.'],
  ['chain-incomplete', PRIVATE_CA_HINT],
  ['untrusted', PRIVATE_CA_HINT],
  ['expired', 'Get a new certificate from its issuer.'],
  [
    'public-lifetime',
    'Clients that keep the rules for public CAs refuse it; get one with a shorter life.',
  ],
])
