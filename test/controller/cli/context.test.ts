// `tlsfleet context`: several controllers in one file that is the user's own.

import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { tlsfleet } from './command.ts'

function configFile(): string {
  const path = join(mkdtempSync(join(tmpdir(), 'context-')), 'config.json')
  const context = { url: 'https://a.example.org:8443', token: 'secret-of-a', ca: ['pem'] }
  const other = { url: 'https://b.example.org:8443', token: 'secret-of-b', ca: ['pem'] }
  const config = { version: 1, current: 'prod', contexts: { prod: context, test: other } }
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 })
  return path
}

await t.test('lists what there is, without tokens', async t => {
  const config = configFile()
  const { code, out } = await tlsfleet(['context', 'ls'], { config })
  t.equal(code, 0)
  t.match(out, /\* +prod +https:\/\/a\.example\.org:8443\n +test +https:\/\/b/)
  const { out: json } = await tlsfleet(['context', 'ls', '--json'], { config })
  t.same(JSON.parse(json), {
    contexts: [
      { name: 'prod', url: 'https://a.example.org:8443', current: true },
      { name: 'test', url: 'https://b.example.org:8443', current: false },
    ],
  })
  t.notMatch(out + json, 'secret')
})

await t.test('another one is chosen, and the file stays private', async t => {
  const config = configFile()
  t.equal((await tlsfleet(['context', 'use', 'test'], { config })).code, 0)
  t.equal((await tlsfleet(['context', 'current'], { config })).out, 'test\n')
  t.equal((await tlsfleet(['context', 'current', '--context', 'prod'], { config })).out, 'prod\n')
  t.equal(statSync(config).mode & 0o777, 0o600)
})

await t.test('one that is not there is a mistake, and changes nothing', async t => {
  const config = configFile()
  const before = readFileSync(config, 'utf8')
  for (const argv of [
    ['context', 'use', 'constructor'],
    ['context', 'rm', 'nobody', '--yes'],
    ['context', 'rename', 'nobody', 'x'],
    ['context', 'rename', 'prod', 'test'],
  ]) {
    const { code, err } = await tlsfleet(argv, { config })
    t.equal(code, 1, argv.join(' '))
    t.match(err, /no-context|context-exists/)
  }
  t.equal(readFileSync(config, 'utf8'), before)
})

await t.test(
  'a renamed one stays the current one; a forgotten one is gone with its token',
  async t => {
    const config = configFile()
    await tlsfleet(['context', 'rename', 'prod', 'live'], { config })
    t.equal((await tlsfleet(['context', 'current'], { config })).out, 'live\n')

    const { code, out } = await tlsfleet(['context', 'rm', 'live', '--yes'], { config })

    t.equal(code, 0)
    t.match(out, /stays valid until it is revoked/)
    t.notMatch(readFileSync(config, 'utf8'), 'secret-of-a')
    t.match(readFileSync(config, 'utf8'), 'secret-of-b')
    t.match((await tlsfleet(['context', 'current'], { config })).err, 'no-context')
  },
)

await t.test('nobody to ask means no', async t => {
  const config = configFile()
  t.match((await tlsfleet(['context', 'rm', 'prod'], { config })).err, 'confirmation-needed')
  const refused = await tlsfleet(['context', 'rm', 'prod'], { config, typed: 'n' })
  t.match(refused.err, 'nothing was changed')
  t.match(readFileSync(config, 'utf8'), 'secret-of-a')
})
