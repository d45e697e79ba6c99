// What a running process still has to be told, as a table.

import t from 'tap'
import type { UnitState } from '../../agent/host.ts'
import { EMPTY_ENTRY, type ServiceEntry } from '../../agent/ledger.ts'
import {
  inputDigests,
  NOTHING_OWED,
  type Owed,
  owedActivation,
  type OwedInput,
  strongerOf,
} from '../../agent/owed.ts'
import {
  type LoadIntent,
  RELEASE_TOKEN,
  STORE_PASSWORD_TOKEN,
} from '../../agent/services/service.ts'
import { Secret } from '../../shared/secret.ts'
import { newNode } from '../support/memory-fleet.ts'

const unit = await newNode().host.services.show('influxdb.service')
if (unit === undefined) throw new Error('no unit')
const running: UnitState = { ...unit, invocationId: 'now', startedAtMs: 1_000 }

function load(name: string, more: Partial<LoadIntent> = {}): LoadIntent {
  return {
    name,
    value: `value of ${name}`,
    activation: 'restart',
    provenBy: 'ledger',
    reason: { code: `${name}-stale`, message: `${name} is not loaded` },
    ...more,
  }
}

const PAIR = load('pair', { value: `${RELEASE_TOKEN}/key`, provenBy: 'handshake' })
const TLS_ON = load('tls', { value: 'on', provenBy: 'handshake' })
const RE_READ = load('pair', {
  value: `${RELEASE_TOKEN}/key`,
  provenBy: 'handshake',
  activation: 'none',
})

function owed(loads: readonly LoadIntent[], more: Partial<OwedInput> = {}): Owed {
  return owedActivation({
    loads,
    release: 'r1',
    entry: EMPTY_ENTRY,
    unit: running,
    served: 'unknown',
    inputsChangedAtMs: undefined,
    ...more,
  })
}

function loaded(loads: readonly LoadIntent[], invocationId = 'now', release = 'r1'): ServiceEntry {
  return {
    ...EMPTY_ENTRY,
    loaded: { invocationId, inputs: inputDigests(loads, { release, storePassword: undefined }) },
  }
}

const RULES: Readonly<Record<string, readonly [expected: Owed['verb'], owed: Owed]>> = {
  // By the ledger, for this very process
  'what this process is known to have loaded is not owed': [
    'none',
    owed([load('a')], { entry: loaded([load('a')]) }),
  ],
  'what it has loaded otherwise is': [
    'restart',
    owed([load('a')], { entry: loaded([load('a', { value: 'old' })]) }),
  ],
  'an input that the record lacks is': [
    'restart',
    owed([load('a'), load('b')], { entry: loaded([load('a')]) }),
  ],
  'another release in it is': [
    'restart',
    owed([load('a', { value: RELEASE_TOKEN })], {
      entry: loaded([load('a', { value: RELEASE_TOKEN })], 'now', 'r0'),
    }),
  ],
  'the record of an earlier process proves nothing': [
    'restart',
    owed([load('a')], { entry: loaded([load('a')], 'before') }),
  ],
  // By the start, where there is no record
  'a process that was started after the last change has loaded it': [
    'none',
    owed([load('a')], { inputsChangedAtMs: 999 }),
  ],
  'also in the very moment': ['none', owed([load('a')], { inputsChangedAtMs: 1_000 })],
  'one that was started before has not': [
    'restart',
    owed([load('a')], { inputsChangedAtMs: 1_001 }),
  ],
  'what is about to change has not been loaded by anyone': ['restart', owed([load('a')])],
  'a process known to be older is not believed, whatever the clock says': [
    'restart',
    owed([load('a')], {
      inputsChangedAtMs: 1,
      entry: { ...EMPTY_ENTRY, staleInvocations: ['now'] },
    }),
  ],
  'a start at an unknown time proves nothing': [
    'restart',
    owed([load('a')], { inputsChangedAtMs: 1, unit: { ...running, startedAtMs: undefined } }),
  ],
  'a process without a name has loaded nothing': [
    'restart',
    owed([load('a')], { inputsChangedAtMs: 1, unit: { ...running, invocationId: undefined } }),
  ],
  // By what is served
  'the leaf that is served proves its release': [
    'none',
    owed([PAIR, TLS_ON], { served: 'current' }),
  ],
  'also against the record': [
    'none',
    owed([PAIR], { served: 'current', entry: loaded([PAIR], 'now', 'r0') }),
  ],
  'another leaf proves that TLS is on, and no more': ['none', owed([TLS_ON], { served: 'stale' })],
  'another leaf is a pair that is not loaded': ['restart', owed([PAIR], { served: 'stale' })],
  'plaintext is TLS that is not loaded': ['restart', owed([TLS_ON], { served: 'plaintext' })],
  'TLS where none is wanted is plaintext that is not loaded': [
    'restart',
    owed([TLS_ON], { served: 'tls' }),
  ],
  'nothing that answers proves nothing': ['restart', owed([PAIR], { served: 'unreachable' })],
  'unless this very process was seen to serve it': [
    'none',
    owed([PAIR], { served: 'unreachable', entry: loaded([PAIR]) }),
  ],
  'which a process of the past says nothing of': [
    'restart',
    owed([PAIR], { served: 'unreachable', entry: loaded([PAIR], 'before') }),
  ],
  'nor does one that served another pair': [
    'restart',
    owed([PAIR], { served: 'unreachable', entry: loaded([PAIR], 'now', 'r0') }),
  ],
  'what a handshake cannot show is not proven by one': [
    'restart',
    owed([load('trust')], { served: 'current' }),
  ],
  'what was not looked at is judged by the record': [
    'none',
    owed([PAIR], { entry: loaded([PAIR]) }),
  ],
  // The least act that is enough
  'what a product re-reads by itself is owed no act': ['none', owed([RE_READ])],
  'a reload is enough for what a reload loads': [
    'reload',
    owed([load('a', { activation: 'reload' })]),
  ],
  'the strongest of several acts is made once': [
    'restart',
    owed([load('a', { activation: 'reload' }), load('b'), load('c', { activation: 'hangup' })]),
  ],
  'in whatever order': [
    'hangup',
    owed([load('a', { activation: 'hangup' }), load('b', { activation: 'reload' })]),
  ],
  // Where files and process disagree although nothing is left to write
  'files in place and another leaf served: only a new start helps': [
    'restart',
    owed([RE_READ], { served: 'stale', inputsChangedAtMs: 1 }),
  ],
  'files without TLS in place and TLS served, too': [
    'restart',
    owed([RE_READ], { served: 'tls', inputsChangedAtMs: 1, entry: loaded([RE_READ]) }),
  ],
  'files in place and plaintext served, too': [
    'restart',
    owed([RE_READ], { served: 'plaintext', inputsChangedAtMs: 1, entry: loaded([RE_READ]) }),
  ],
  'not while the files are about to change': ['none', owed([RE_READ], { served: 'stale' })],
  'nor where nobody answers': [
    'none',
    owed([RE_READ], { served: 'unreachable', inputsChangedAtMs: 1, entry: loaded([RE_READ]) }),
  ],
  'nothing is owed where nothing is loaded': ['none', owed([])],
}

for (const [rule, [expected, result]] of Object.entries(RULES)) {
  await t.test(rule, async t => {
    t.equal(result.verb, expected)
  })
}

await t.test('the reason is that of the act', async t => {
  t.equal(owed([load('a', { activation: 'reload' }), load('b')]).reason.code, 'b-stale')
  t.equal(owed([RE_READ]).reason.code, 'pair-stale')
  t.equal(owed([PAIR], { served: 'current' }), NOTHING_OWED)
  t.equal(owed([RE_READ], { served: 'stale', inputsChangedAtMs: 1 }).reason.code, 'served-differs')
})

await t.test('of two acts the stronger one, of two equal ones the first', async t => {
  const act = (verb: Owed['verb'], code: string = verb): Owed => ({
    verb,
    reason: { code, message: '' },
  })
  const order = ['none', 'reload', 'hangup', 'restart', 'start'] as const
  for (const [index, weak] of order.entries()) {
    for (const strong of order.slice(index + 1)) {
      t.equal(strongerOf(act(weak), act(strong)).verb, strong)
      t.equal(strongerOf(act(strong), act(weak)).verb, strong)
    }
  }
  t.equal(strongerOf(act('reload', 'first'), act('reload', 'second')).reason.code, 'first')
})

await t.test(
  'a store password counts as loaded only by the process that was started with it',
  async t => {
    const password = (text: string) => ({ release: 'r1', storePassword: new Secret(text) })
    const loads = [load('secret', { value: `entry=${STORE_PASSWORD_TOKEN}` })]
    const entry = (text: string): ServiceEntry => ({
      ...EMPTY_ENTRY,
      loaded: { invocationId: 'now', inputs: inputDigests(loads, password(text)) },
    })
    const verb = (known: string, now: string | undefined) =>
      owed(loads, {
        entry: entry(known),
        ...(now === undefined ? {} : { storePassword: new Secret(now) }),
      }).verb
    t.equal(verb('a', 'a'), 'none')
    t.equal(verb('a', 'b'), 'restart')
    t.equal(verb('a', undefined), 'restart', 'there is none any more')
    t.notMatch(JSON.stringify(entry('s3cret')), 's3cret')
  },
)
