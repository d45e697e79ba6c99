// What the ACME client is made of: its configuration, its queue, what it makes of answers, and the
// programs that it starts.

import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { makeAcmeKey, openAcmeKey } from '../../../controller/ca/acme-key.ts'
import { createSealing } from '../../../controller/ca/sealed-key.ts'
import { runDnsProgram } from '../../../controller/issuers/acme/dns-program.ts'
import { parseRetryAfter } from '../../../controller/issuers/acme/http.ts'
import { requireOwnedProgram } from '../../../controller/issuers/acme/owned-program.ts'
import {
  AcmeProblemError,
  type ProblemSubject,
  toProblem,
  verdictOf,
} from '../../../controller/issuers/acme/problem.ts'
import { choose, type QueueState } from '../../../controller/issuers/acme/queue.ts'
import { acmeDirectories, AcmeTable } from '../../../controller/issuers/acme/settings.ts'
import type { AcmeOrderRecord } from '../../../controller/store/acme-store.ts'
import { parseAddress, readSettings } from '../../../controller/config.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { until } from '../../lab/until.ts'
import { acmeDirectory, PASSPHRASE } from '../../support/acme-scene.ts'

const scratch = mkdtempSync(join(tmpdir(), 'tlsfleet-acme-'))
t.teardown(() => rmSync(scratch, { recursive: true }))

const DIRECTORY = 'https://ca.example.org/directory'
const DNS = { program: '/usr/local/lib/tlsfleet/dns-update' }

await t.test(
  'a directory is configured with little, and nothing is on that nobody asked for',
  async t => {
    const file = join(scratch, 'controller.toml')
    writeFileSync(
      file,
      `[acme.corp]
directory = "${DIRECTORY}"
termsAgreed = true
dns = { program = "${DNS.program}" }
`,
    )
    const [corp] = readSettings({ config: file }, 'host.example.org').acme
    t.strictSame(corp, {
      name: 'corp',
      url: DIRECTORY,
      email: undefined,
      caFile: undefined,
      eab: undefined,
      dns: { ...DNS, timeoutMs: 120_000, check: false },
      http01: undefined,
      ipAddresses: false,
      atOnce: 4,
      ordersPerHour: 60,
      pollLimitMs: 300_000,
      retryMs: 60_000,
    })
    writeFileSync(file, '[acme.corp]\ndirectory = "https://a/"\ntermsagreed = true\n')
    t.throws(() => readSettings({ config: file }, 'host'), {
      code: 'config-invalid',
      message: /unknown key termsagreed/,
    })
  },
)

await t.test('what would order for the wrong one, or nothing at all, is refused', async t => {
  const good = { directory: DIRECTORY, termsAgreed: true, dns: DNS }
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ ...good, termsAgreed: false }, /termsAgreed must be true/],
    [{ ...good, termsAgreed: undefined }, /termsAgreed must be true/],
    [{ ...good, directory: 'http://ca.example.org/' }, /not an https URL/],
    [{ ...good, directory: 'https://user@ca.example.org/' }, /not an https URL/],
    [{ ...good, dns: undefined }, /can solve no challenge/],
    [{ ...good, dns: undefined, http01: false }, /can solve no challenge/],
    [{ ...good, dns: { program: 'dns-update' } }, /not an absolute path/],
    [
      { ...good, dns: { ...DNS, timeout: '5h' } },
      /dns\.timeout is 5h, not a duration from 1s to 1h/,
    ],
    [{ ...good, caFile: 'root.pem' }, /caFile is root\.pem, not an absolute path/],
    [{ ...good, eab: { kid: 'k', hmacFile: 'eab' } }, /not an absolute path/],
    [{ ...good, http01: { listen: '80' } }, /is not an address/],
  ]
  for (const [entry, message] of wrong)
    t.throws(() => acmeDirectories(AcmeTable.parse({ corp: entry }), parseAddress), {
      code: 'config-invalid',
      message,
    })
  for (const email of ['a@b?x=1', 'a@b,c@d', 'a b@c', 'nobody'])
    t.notOk(AcmeTable.safeParse({ corp: { ...good, email } }).success, email)
})

await t.test('what a problem means for the request and for the others', async t => {
  const of = (type: string, status = 400, about: ProblemSubject = 'order', inner?: string) =>
    verdictOf(
      new AcmeProblemError(
        'order',
        toProblem(
          {
            ...(type === '' ? {} : { type: `urn:ietf:params:acme:error:${type}` }),
            detail: 'said',
            ...(inner === undefined
              ? {}
              : {
                  subproblems: [
                    {
                      type: `urn:ietf:params:acme:error:${inner}`,
                      detail: 'not this',
                      identifier: { type: 'dns', value: 'a.test' },
                    },
                  ],
                }),
          },
          { status, retryAfterMs: 7_000 },
        ),
        about,
      ),
    )
  for (const type of ['rejectedIdentifier', 'unsupportedIdentifier', 'badCSR', 'badPublicKey'])
    t.match(of(type), { kind: 'refused', reason: { message: `${type}: said` } })
  t.match(of('compound', 400, 'order', 'rejectedIdentifier'), {
    kind: 'refused',
    reason: { message: 'compound: said; a.test: not this' },
  })
  const later = (code: string, scope: string) => ({ kind: 'later', reason: { code }, scope })
  t.match(of('rateLimited', 429), { ...later('acme-rate-limited', 'request'), retryAfterMs: 7_000 })
  t.match(of('', 429), later('acme-rate-limited', 'directory'))
  t.match(of('', 503), later('acme-unavailable', 'directory'))
  t.match(of('serverInternal', 500), later('acme-unavailable', 'directory'))
  t.match(of('unauthorized', 403, 'account'), later('acme-account-refused', 'directory'))
  t.match(of('userActionRequired', 403), later('acme-account-refused', 'directory'))
  t.match(of('unauthorized', 0, 'validation'), later('acme-validation-failed', 'request'))
  t.match(of('dns', 0, 'validation'), later('acme-validation-failed', 'request'))
  t.match(of('caa', 403), later('acme-problem', 'request'))
  t.match(
    verdictOf(new OperationalError('acme-unreachable', 'x')),
    later('acme-unreachable', 'directory'),
  )
  t.match(verdictOf(new Error('bug')), later('acme-failed', 'request'))

  const said = toProblem(
    { detail: `a\u001b[31m\nb\u202e${'c'.repeat(5_000)}` },
    { status: 400, retryAfterMs: undefined },
  )
  t.match(said.text, /^a \[31m b c+$/)
  t.equal(said.text.length, 1_000)
})

await t.test('Retry-After as seconds or as a date, never more than a day', async t => {
  const nowMs = Date.UTC(2026, 10, 22, 12)
  t.equal(parseRetryAfter('120', nowMs), 120_000)
  t.equal(parseRetryAfter('Sun, 22 Nov 2026 12:01:00 GMT', nowMs), 60_000)
  t.equal(parseRetryAfter('999999999', nowMs), 86_400_000)
  for (const text of [undefined, '', 'soon', '-1', '0', 'Sun, 22 Nov 2026 11:00:00 GMT'])
    t.equal(parseRetryAfter(text, nowMs), undefined, String(text))
})

function order(request: string, change: Partial<AcmeOrderRecord> = {}): AcmeOrderRecord {
  return {
    request,
    directory: 'corp',
    directoryUrl: DIRECTORY,
    node: 'n1',
    service: 'prometheus',
    names: { dns: [`${request}.test`], ip: [] },
    state: 'waiting',
    orderUrl: undefined,
    orderedAtMs: undefined,
    dnsRecords: [],
    attempts: 0,
    nextAttemptAtMs: 0,
    reason: undefined,
    updatedAtMs: 0,
    ...change,
  }
}

function state(orders: readonly AcmeOrderRecord[], change: Partial<QueueState> = {}): QueueState {
  const corp = acmeDirectory({ url: DIRECTORY, atOnce: 2, ordersPerHour: 3 })
  return {
    directories: new Map([['corp', corp]]),
    orders,
    running: [],
    blocked: new Map(),
    ordered: new Map(),
    nowMs: 1_000,
    ...change,
  }
}

function started(given: QueueState): readonly string[] {
  return choose(given).start.map(one => one.request)
}

await t.test('the key of an account is sealed, and opens for its directory only', async t => {
  const sealing = createSealing(PASSPHRASE)
  const keySealed = makeAcmeKey(sealing, 'corp', randomBytes)
  t.notMatch(keySealed, 'PRIVATE KEY')
  t.match(openAcmeKey(sealing, { directory: 'corp', keySealed }).reveal(), 'BEGIN PRIVATE KEY')
  t.throws(() => openAcmeKey(sealing, { directory: 'lab', keySealed }), {
    code: 'sealed-key-tampered',
  })
})

await t.test('the queue: what is due, a few at once, one order for a name at a time', async t => {
  t.strictSame(started(state([order('a'), order('b'), order('c')])), ['a', 'b'])
  t.strictSame(started(state([order('a', { nextAttemptAtMs: 1_001 }), order('b')])), ['b'])
  t.strictSame(started(state([order('a'), order('b')], { running: [order('a')] })), ['b'])
  const wildcard = order('w', { names: { dns: ['*.a.test'], ip: [] } })
  t.strictSame(started(state([order('a'), wildcard, order('b')])), ['a', 'b'])
  t.strictSame(started(state([order('a', { directory: 'gone' })])), [])
})

await t.test('the queue: orders an hour, and directories at which nothing is tried', async t => {
  const full = choose(state([order('a'), order('b')], { ordered: new Map([['corp', 2]]) }))
  t.match(full.start, [{ request: 'a' }])
  t.match(full.held, [{ order: { request: 'b' }, blocked: { reason: { code: 'acme-paced' } } }])
  const placed = order('a', { state: 'ordered', orderUrl: 'https://ca/1' })
  t.strictSame(
    started(state([placed], { ordered: new Map([['corp', 3]]) })),
    ['a'],
    'is no new one',
  )

  const reason = { code: 'acme-unreachable', message: 'nobody there' }
  const wall = (untilMs: number) => new Map([['corp', { untilMs, reason }]])
  const behind = choose(state([order('a')], { blocked: wall(1_001) }))
  t.strictSame(behind.start, [])
  t.match(behind.held, [{ blocked: { untilMs: 1_001, reason } }])
  t.strictSame(started(state([order('a')], { blocked: wall(1_000) })), ['a'])
})

await t.test(
  'whatever is in the queue: never more at once, never one name twice, nobody starves',
  async t => {
    const orders = fc.uniqueArray(
      fc.record({
        request: fc.stringMatching(/^[a-z]{1,3}$/),
        name: fc.constantFrom('a', 'b', 'c', 'd'),
      }),
      { selector: one => one.request, maxLength: 12 },
    )
    const check = () =>
      fc.assert(
        fc.property(orders, fc.integer({ min: 0, max: 3 }), (list, running) => {
          const all = list.map(({ request, name }) =>
            order(request, { names: { dns: [`${name}.test`], ip: [] } }),
          )
          const given = state(all.slice(running), { running: all.slice(0, running) })
          const { start } = choose(given)
          const busy = [...given.running.slice(0, running), ...start]
          const names = start.map(one => one.names.dns[0])
          const isRoom = given.running.length < 2
          return (
            start.length <= Math.max(0, 2 - given.running.length) &&
            new Set(names).size === names.length &&
            start.every(
              one => !given.running.some(other => other.names.dns[0] === one.names.dns[0]),
            ) &&
            (!isRoom ||
              start.length > 0 ||
              given.orders.every(one =>
                busy.some(other => other.names.dns[0] === one.names.dns[0]),
              ))
          )
        }),
      )
    t.doesNotThrow(check)
  },
)

await t.test('a program that others could replace is not started', async t => {
  const uid = process.getuid?.() ?? 0
  const safe = join(scratch, 'safe')
  mkdirSync(safe, { mode: 0o755 })
  const program = join(safe, 'dns')
  writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 })
  t.equal(requireOwnedProgram(program, uid), program)
  const link = join(scratch, 'link')
  symlinkSync(program, link)
  t.equal(requireOwnedProgram(link, uid), program)

  const unusable = (message: RegExp) => ({ code: 'dns-program-unusable', message })
  if (uid === 0) {
    const nobody = join(safe, 'foreign')
    writeFileSync(nobody, '#!/bin/sh\n', { mode: 0o755 })
    chownSync(nobody, 65_534, 65_534)
    t.throws(() => requireOwnedProgram(nobody, uid), unusable(/belongs to user 65534/))
  }
  for (const mode of [0o775, 0o757]) {
    chmodSync(program, mode)
    t.throws(() => requireOwnedProgram(program, uid), unusable(/can be written by others/))
  }
  chmodSync(program, 0o755)
  chmodSync(safe, 0o777)
  t.throws(
    () => requireOwnedProgram(program, uid),
    unusable(/safe can be written by others \(mode 777\)/),
  )
  t.throws(() => requireOwnedProgram(link, uid), unusable(/can be written by others/))
  chmodSync(safe, 0o755)
  chmodSync(program, 0o644)
  t.throws(() => requireOwnedProgram(program, uid), unusable(/is not a program/))
  t.throws(() => requireOwnedProgram(safe, uid), unusable(/is not a program/))
  t.throws(() => requireOwnedProgram(join(safe, 'none'), uid), unusable(/ENOENT/))
})

await t.test(
  'the program gets its three words and nothing of our environment; it ends in time',
  async t => {
    const out = join(scratch, 'out')
    const program = join(scratch, 'dns')
    const write = (text: string) => writeFileSync(program, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
    process.env['TLSFLEET_CANARY'] = 'secret'
    t.teardown(() => delete process.env['TLSFLEET_CANARY'])
    const record = { fqdn: '_acme-challenge.a.test.', value: 'x$(id)`id`' }
    const never = new AbortController().signal
    const dns = { program, timeoutMs: 60_000, check: false }

    write(`printf '%s\\n' "$@" > ${out}; env | cut -d= -f1 | sort >> ${out}; pwd >> ${out}`)
    await runDnsProgram(dns, 'present', record, never)
    const words = readFileSync(out, 'utf8').trim().split('\n')
    t.strictSame(words.slice(0, 3), ['present', record.fqdn, record.value])
    // The runner of the tests adds variables of its own to every process.
    for (const name of ['HOME', 'TLSFLEET_CANARY']) t.notOk(words.includes(name), name)
    t.ok(words.includes('LC_ALL'))
    t.equal(words.at(-1), '/')

    write(`echo to stdout; printf 'to \\033[31mstderr' >&2; exit 7`)
    await t.rejects(runDnsProgram(dns, 'cleanup', record, never), {
      code: 'dns-program-failed',
      message:
        /dns cleanup _acme-challenge\.a\.test\. failed \(exit 7\): to stdout to {2}\[31mstderr$/,
    })

    write('sleep 1000')
    await t.rejects(runDnsProgram({ ...dns, timeoutMs: 300 }, 'check', record, never), {
      message: /failed \(no end within 0\.3 s\)/,
    })

    // What it has started ends with it, also where it waits for nothing any more.
    const stopping = new AbortController()
    write(`sleep 1000 & echo $! > ${out}.new; mv ${out}.new ${out}.child; wait`)
    const interrupted = t.rejects(runDnsProgram(dns, 'present', record, stopping.signal), {
      code: 'interrupted',
    })
    const child = await until(() => Number(readFileSync(`${out}.child`, 'utf8')), {
      what: 'it runs',
    })
    t.ok(isAlive(child))
    stopping.abort()
    await interrupted
    await until(() => !isAlive(child), { what: 'the child of the program is gone' })
  },
)

// A zombie that nobody has waited for counts as gone.
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
