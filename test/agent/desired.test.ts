// Which document counts: newer generations only, one content for each, of this node only.

import t from 'tap'
import type { DesiredState } from '../../shared/contract/desired-state.ts'
import { type Acceptance, type Accepted, acceptDesired, acceptedFile } from '../../agent/desired.ts'
import { documentOf } from '../support/fake-controller.ts'
import { newNode, STATE, wish } from '../support/memory-fleet.ts'

const services = await wish()
const others = await wish({ dns: ['other', 'localhost'] })

interface Known {
  readonly current?: Accepted
  readonly epoch?: number | undefined
  readonly generation?: number
  readonly digest?: string
}

function judge(received: unknown, { current, epoch, generation, digest }: Known = {}): Acceptance {
  return acceptDesired({ received, node: 'n1', current, highest: { epoch, generation, digest } })
}

const codeOf = (result: Acceptance) =>
  result.kind === 'refused' ? result.reason.code : result.kind

/** What a node knows that has accepted this document. */
function having(latest: DesiredState, enforced?: DesiredState): Known {
  return {
    current: { version: 1, latest, ...(enforced === undefined ? {} : { enforced }) },
    epoch: latest.epoch,
    generation: latest.generation,
    digest: latest.digest,
  }
}

await t.test('the newest generation counts, an older one never', async t => {
  const five = documentOf({ generation: 5, services })

  t.equal(codeOf(judge(five)), 'accepted', 'the first of all')
  t.equal(codeOf(judge(five, having(five))), 'known')
  t.equal(codeOf(judge(documentOf({ generation: 6, services: others }), having(five))), 'accepted')
  const older = judge(documentOf({ generation: 4, services }), having(five))
  t.match(older, { kind: 'refused', reason: { code: 'desired-outdated', message: /4.*5/ } })
})

await t.test('one generation has one content', async t => {
  const five = documentOf({ generation: 5, services })

  const other = judge(documentOf({ generation: 5, services: others }), having(five))
  const otherMode = judge(documentOf({ generation: 5, services, mode: 'audit' }), having(five))

  t.equal(codeOf(other), 'desired-conflict')
  t.equal(codeOf(otherMode), 'desired-conflict')
})

await t.test('a higher epoch wins over any generation, a lower one over none', async t => {
  const five = documentOf({ epoch: 7, generation: 5, services })
  const place = (epoch: number, generation: number) =>
    codeOf(judge(documentOf({ epoch, generation, services: others }), having(five)))

  t.equal(place(8, 1), 'accepted')
  t.equal(place(8, 5), 'accepted', 'the same number in another epoch is another document')
  t.equal(place(7, 6), 'accepted')
  t.equal(place(7, 5), 'desired-conflict')
  t.equal(place(7, 4), 'desired-outdated')
  t.equal(place(6, 900), 'older-epoch')
  t.equal(place(0, 900), 'older-epoch', 'also of a controller that was never restored')
  const refused = judge(documentOf({ epoch: 6, generation: 9, services }), having(five))
  t.match(refused, { reason: { message: /^epoch 6 is older than 7, .* an older backup/ } })

  const { current, ...ledger } = having(five)
  const six = documentOf({ epoch: 6, generation: 9, services })
  t.equal(codeOf(judge(six, ledger)), 'older-epoch', 'known by the ledger alone')
  t.equal(codeOf(judge(six, current && { current })), 'older-epoch', 'and by the document alone')
  t.equal(codeOf(judge({ ...five, epoch: 8 })), 'desired-damaged')
  for (const epoch of [0, -1, 1.5, '1'])
    t.equal(codeOf(judge({ ...five, epoch })), 'unsupported-desired-state', `${epoch}`)
})

await t.test('the ledger outlives a lost document', async t => {
  const five = documentOf({ generation: 5, services })
  const { generation, digest } = five
  const lost = { generation, digest }

  t.equal(codeOf(judge(documentOf({ generation: 4, services }), lost)), 'desired-outdated')
  t.equal(codeOf(judge(documentOf({ generation: 5, services: others }), lost)), 'desired-conflict')
  t.equal(codeOf(judge(five, lost)), 'accepted', 'the very same one may come back')
})

await t.test('the document outlives a lost ledger', async t => {
  const five = documentOf({ generation: 5, services })
  const current: Accepted = { version: 1, latest: five }

  t.equal(codeOf(judge(documentOf({ generation: 4, services }), { current })), 'desired-outdated')
  t.equal(
    codeOf(judge(documentOf({ generation: 5, services: others }), { current })),
    'desired-conflict',
  )
  t.equal(codeOf(judge(five, { current })), 'known')
  // A crash between the two writes: the ledger is ahead.
  const six = documentOf({ generation: 6, services: others })
  const ahead = { current, generation: 6, digest: six.digest }
  t.equal(codeOf(judge(six, ahead)), 'accepted')
  t.equal(codeOf(judge(five, ahead)), 'desired-outdated')
})

await t.test('a document for another node, or that was tampered with, is refused', async t => {
  const good = documentOf({ generation: 1, services })
  const { contentDigest } = documentOf({ generation: 1, services: others })

  t.equal(codeOf(judge(documentOf({ generation: 1, services, node: 'n2' }))), 'desired-other-node')
  for (const [what, bad] of Object.entries({
    content: { ...good, content: { services: [...others] } },
    'content and its digest': { ...good, content: { services: [...others] }, contentDigest },
    mode: { ...good, mode: 'audit' },
    permit: { ...good, permit: true },
    generation: { ...good, generation: 9 },
    digest: { ...good, digest: contentDigest },
  })) {
    t.equal(codeOf(judge(bad)), 'desired-damaged', what)
  }
})

await t.test('what this version does not know is unsupported, never half understood', async t => {
  const good = documentOf({ generation: 1, services })
  const [first] = services
  const content = (service: object) => ({ ...good, content: { services: [service] } })
  for (const [what, bad] of Object.entries({
    'an unknown option': content({ ...first, options: { newThing: true } }),
    'an unknown service': content({ ...first, service: 'kibana' }),
    'an unknown field of the document': { ...good, more: 1 },
    'a service twice': { ...good, content: { services: [first, first] } },
    'a generation of zero': { ...good, generation: 0 },
    'a fraction of a generation': { ...good, generation: 1.5 },
    text: 'document',
    nothing: null,
    'a list': [],
    'a deep nesting': JSON.parse(`${'['.repeat(2000)}${']'.repeat(2000)}`),
  })) {
    const result = judge(bad)
    t.equal(codeOf(result), 'unsupported-desired-state', what)
    if (result.kind === 'refused') t.ok(result.reason.message.length <= 2000, 'of bounded length')
  }
})

await t.test('audit ends enforcement, staging does not', async t => {
  const five = documentOf({ generation: 5, services })
  const enforcedAfter = (known: Known, mode: 'audit' | 'stage' | 'enforce') => {
    const result = judge(documentOf({ generation: 9, services: others, mode }), known)
    return result.kind === 'accepted' ? result.accepted.enforced?.generation : result.kind
  }
  const staging = having(documentOf({ generation: 6, services: others, mode: 'stage' }), five)
  const auditing = having(documentOf({ generation: 6, services, mode: 'audit' }))

  t.equal(enforcedAfter(having(five, five), 'stage'), 5)
  t.equal(enforcedAfter(staging, 'stage'), 5, 'also a second one')
  t.equal(enforcedAfter(staging, 'audit'), undefined)
  t.equal(enforcedAfter(staging, 'enforce'), 9)
  t.equal(enforcedAfter(auditing, 'stage'), undefined, 'what ended does not come back by itself')
  t.equal(enforcedAfter({}, 'stage'), undefined)
})

await t.test('what was accepted is read again as it was', async t => {
  const node = newNode()
  node.files.put(`${STATE}/placeholder`, '')
  const known = having(documentOf({ generation: 6, services, mode: 'stage' }))
  const file = acceptedFile(node.files, STATE)
  if (known.current === undefined) throw new Error('nothing to write')

  await file.write(known.current)

  t.strictSame(await file.read(), { value: known.current, damage: undefined })
})
