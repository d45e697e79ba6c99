import t from 'tap'
import {
  connectHost,
  inUrl,
  isCovered,
  isOwnHost,
  parseAddress,
  primaryName,
} from '../../../agent/services/addresses.ts'
import { commandLine, flagsNamed, settingOf } from '../../../agent/services/command-line.ts'
import { isTemporary, isUnderHome, logicalPath } from '../../../agent/services/paths.ts'
import type { Seen, SeenFile } from '../../../agent/services/service.ts'
import { isAtLeast, parseVersion, versionIn } from '../../../agent/services/version.ts'
import { fakeUnit, SAME } from './fake-node.ts'

function seenWith(
  execStart: readonly string[],
  files: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>> = {},
): Seen {
  const environmentFiles = Object.keys(files).map(path => ({ path, optional: true }))
  const file = (path: string): SeenFile => {
    const text = files[path]
    return text === undefined || text === '(none)' ? { kind: 'missing' } : { kind: 'text', text }
  }
  return {
    unit: fakeUnit({ execStart, environment, environmentFiles }),
    file,
    command: () => undefined,
    directory: () => undefined,
    keystore: () => undefined,
  }
}

function words(seen: Seen) {
  const line = commandLine(seen, SAME)
  return line.kind === 'refusal' ? line.reason.code : line.words.map(word => word.text)
}

await t.test('variables are put in as systemd does', async t => {
  const files = { '/a': `A="one 'two three'"\nB=4\n`, '/b': 'B=5\n' }
  t.same(words(seenWith(['/p', '$A', 'x', '--b=${B}', '$$B', '$NONE'], files)), [
    'one',
    'two three',
    'x',
    '--b=5',
    '$B',
  ])
  t.same(words(seenWith(['/p', '${A}'], files)), ["one 'two three'"], 'in braces it is one word')
  t.equal(settingOf('A', seenWith([], { '/a': 'A=1\n' }, { A: '2' }), SAME)?.value, '1')
  t.equal(settingOf('A', seenWith([], { '/a': '' }, { A: '2' }), SAME)?.value, '2')
  t.equal(words(seenWith(['p'], {})), 'program-unknown')
})

await t.test('a flag knows where it can be edited', async t => {
  const seen = seenWith(['/p', '--x=1', '$A', '--y', '$B'], { '/a': 'A="--z 2"\nB=3\n' })
  const line = commandLine(seen, SAME)
  t.equal(line.kind, 'command-line')
  if (line.kind === 'refusal') return
  t.same(flagsNamed(line.words, 'x'), [{ value: '1', variable: undefined }])
  t.same(flagsNamed(line.words, 'z'), [{ value: '2', variable: { path: '/a', name: 'A' } }])
  t.same(flagsNamed(line.words, 'y'), [{ value: '3', variable: undefined }], 'of two origins')
  t.same(line.room, { path: '/a', name: 'A' })

  const room = (...args: Parameters<typeof seenWith>) => {
    const found = commandLine(seenWith(...args), SAME)
    return found.kind === 'command-line' ? found.room : undefined
  }
  t.same(room(['/p', '$A'], { '/none': '(none)', '/a': '' }), { path: '/a', name: 'A' })
  t.same(room(['/p', '$A'], { '/none': '(none)' }), { path: '/none', name: 'A' })
  t.same(room(['/p', '$A', '$B'], { '/a': 'B=\n' }), { path: '/a', name: 'B' })
  t.equal(room(['/p', '${A}'], { '/a': 'A=\n' }), undefined)
  t.equal(room(['/p', '$A'], { '/a': '' }, { A: '--x' }), undefined)
  t.equal(room(['/p', '$A'], {}), undefined)
})

await t.test('addresses are read as Go reads them', async t => {
  t.same(parseAddress(':8086'), { host: '', port: 8086 })
  t.same(parseAddress('[::1]:9090'), { host: '::1', port: 9090 })
  t.same(parseAddress('a.example.com:1'), { host: 'a.example.com', port: 1 })
  for (const text of ['', '9090', ':http', ':0', ':65536', '::1:9090', 'http://a:1', 'a:1/x'])
    t.equal(parseAddress(text), undefined, text)
  t.same(['', '0.0.0.0', 'localhost', '::', '::1', '10.0.0.1'].map(connectHost), [
    '127.0.0.1',
    '127.0.0.1',
    '127.0.0.1',
    '::1',
    '::1',
    '10.0.0.1',
  ])
  t.equal(inUrl('::1'), '[::1]')
})

await t.test('a wildcard covers a target, but does not make it this server', async t => {
  const names = { dns: ['*.example.com', 'm1.example.com'], ip: ['2001:db8::1'] }
  t.ok(isCovered('m2.example.com', names))
  t.notOk(isOwnHost('m2.example.com', names))
  t.ok(isOwnHost('M1.example.com', names))
  t.ok(isOwnHost('2001:DB8:0::1', names))
  t.ok(isOwnHost('127.0.0.2', names))
  t.equal(primaryName(names), 'm1.example.com')
  t.equal(primaryName({ dns: [], ip: ['10.0.0.1'] }), '10.0.0.1')
  t.equal(primaryName({ dns: ['*.example.com'], ip: [] }), 'any.example.com')
  t.equal(primaryName({ dns: [], ip: [] }), undefined)
})

await t.test('paths are named as the agent names them', async t => {
  const context = { servicePath: (path: string) => `/tmp/node${path}` }
  t.equal(logicalPath('/tmp/node/etc/x', context), '/etc/x')
  t.equal(logicalPath('/etc/x', context), '/etc/x')
  t.equal(logicalPath('/tmp/node/etc/x', SAME), '/tmp/node/etc/x')
  t.ok(isUnderHome('/home/p/x') && isUnderHome('/root/x') && isUnderHome('/run/user/0/x'))
  t.notOk(isUnderHome('/homes/x') || isUnderHome('/etc/home/x'))
  t.ok(isTemporary('/var/tmp/x') && !isTemporary('/tmpfiles/x'))
})

await t.test('versions are compared by their numbers', async t => {
  for (const text of ['1.6.7~rc0', 'v2.42.0+ds', '1.12.3-c1.12.3', '2.24.0-rc.1', '3.0.0'])
    t.equal(parseVersion(text)?.text, text.replace(/^v/, ''))
  for (const text of ['', '1.6', '1.6.x', '1.6.7.8', 'nightly', '1.6.7 x', '99999999.0.0'])
    t.equal(parseVersion(text), undefined, text)
  const atLeast = (text: string, minimum: `${number}.${number}.${number}`) => {
    const version = parseVersion(text)
    return version !== undefined && isAtLeast(version, minimum)
  }
  t.ok(
    atLeast('1.12.3-c1.12.3', '1.12.3') && atLeast('1.13.0', '1.12.3') && atLeast('2.0.0', '1.9.9'),
  )
  t.notOk(atLeast('1.12.2', '1.12.3') || atLeast('1.9.10', '1.10.0') || atLeast('0.9.9', '1.0.0'))

  const pattern = /version (\S+)/
  const ran = { kind: 'ran', code: 0, stdout: '', stderr: 'p, version 1.2.3\n' } as const
  t.equal(versionIn(ran, pattern)?.text, '1.2.3', 'on stderr')
  t.equal(versionIn({ ...ran, code: undefined }, pattern), undefined)
  t.equal(versionIn(undefined, pattern), undefined)
})
