// What is installed on machines: the same bytes from every build, files of root with the modes that
// they need, nothing missing in the lists that go with them.

import { createHash } from 'node:crypto'
import { chmodSync, globSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { buildPackages } from '../../systemd/package.ts'
import { deb } from '../../systemd/packages/deb.ts'
import { stripElf } from '../../systemd/packages/strip-elf.ts'
import { runCommand } from '../lab/command.ts'
import { RPM_UNAVAILABLE } from '../support/rpm.ts'

const SCRIPTS = join(dirname(dirname(import.meta.dirname)), 'systemd/packages/scripts')
const EPOCH = 1_700_000_000
const directory = t.testdir({ one: {}, two: {}, root: {} })

/** Every kind, for this machine only; what compresses best would cost minutes, twice. */
const build = (out: string) =>
  buildPackages({
    out: join(directory, out),
    version: '1.2.3',
    epoch: EPOCH,
    compression: 'fast',
    architectures: [process.arch === 'arm64' ? 'arm64' : 'amd64'],
    formats: RPM_UNAVAILABLE === false ? ['deb', 'rpm', 'tar'] : ['deb', 'tar'],
    print: () => {},
  })

// Bundling takes a while on a busy machine.
t.setTimeout(1_100_000)

const names = await build('one')
const read = (name: string) => readFileSync(join(directory, 'one', name))

/** The members of an ar archive by name. */
function members(archive: Buffer): ReadonlyMap<string, Buffer> {
  const found = new Map<string, Buffer>()
  for (let at = 8; at < archive.length; ) {
    const header = archive.subarray(at, at + 60).toString('latin1')
    const size = Number(header.slice(48, 58))
    found.set(header.slice(0, 16).trim(), archive.subarray(at + 60, at + 60 + size))
    at += 60 + size + (size % 2)
  }
  return found
}

/** `MODE OWNER PATH` of each entry, as another program than ours reads them. */
async function listing(archive: Buffer, member: string): Promise<readonly string[]> {
  const path = join(directory, 'listed.tar')
  writeFileSync(path, gunzipSync(members(archive).get(member) ?? ''))
  const argv = ['--utc', '--full-time', '-tvf', path]
  const listed = await runCommand('tar', argv, { env: { PATH: process.env['PATH'], LC_ALL: 'C' } })
  t.equal(listed.stderr, '')
  return listed.stdout
    .trim()
    .split('\n')
    .map(line => line.replace(/^(\S+) (\S+) +\d+ (\S+ \S+) /, '$1 $2 $3 '))
}

await t.test('two builds are the same to the byte, and have the digests they say', async t => {
  t.same(await build('two'), names)
  for (const name of readdirSync(join(directory, 'one')))
    t.ok(read(name).equals(readFileSync(join(directory, 'two', name))), name)

  const sums = read('SHA256SUMS').toString()
  const expected = names.map(
    name => `${createHash('sha256').update(read(name)).digest('hex')}  ${name}\n`,
  )
  t.same(
    sums.split(/(?<=\n)/).toSorted(),
    expected.toSorted(),
    'every file is in it, and nothing else',
  )
})

await t.test(
  '.rpm are among the packages that were compared',
  { skip: RPM_UNAVAILABLE },
  async t => {
    t.equal(names.filter(name => name.endsWith('.rpm')).length, 4)
  },
)

await t.test('everything belongs to root, with one time and the modes of its kind', async t => {
  for (const name of names.filter(name => name.endsWith('.deb'))) {
    const archive = read(name)
    const files = await listing(archive, 'data.tar.gz')
    const strange = files.filter(
      line =>
        !/^(drwxr-xr-x|-rw-r--r--) root\/root 2023-11-14 22:13:20 \.\//.test(line) &&
        !/^-rwxr-xr-x root\/root 2023-11-14 22:13:20 \.\/usr\/(bin\/tlsfleet|lib\/tlsfleet\/node$)/.test(
          line,
        ),
    )
    t.same(strange, [], name)
    t.equal(members(archive).get('debian-binary')?.toString(), '2.0\n')
  }
  const agent = (await listing(read('tlsfleet-agent_1.2.3_all.deb'), 'data.tar.gz')).join('\n')
  for (const path of [
    'usr/bin/tlsfleet-agent',
    'usr/lib/tlsfleet/agent/tlsfleet-agent.mjs',
    'usr/lib/systemd/system/tlsfleet-agent.service',
    'usr/lib/tmpfiles.d/tlsfleet-agent.conf',
    'usr/share/doc/tlsfleet-agent/copyright',
    'usr/share/man/man8/tlsfleet-agent.8.gz',
  ])
    t.match(agent, ` ./${path}\n`.trimEnd())
  t.notMatch(agent, /\.map$|sysusers/m)
  const control = await listing(read('tlsfleet-agent_1.2.3_all.deb'), 'control.tar.gz')
  t.same(
    control.map(line => `${line.slice(0, 10)} ${line.split('./')[1]}`),
    [
      'drwxr-xr-x ',
      '-rw-r--r-- control',
      '-rw-r--r-- md5sums',
      '-rwxr-xr-x postinst',
      '-rwxr-xr-x postrm',
      '-rwxr-xr-x prerm',
    ],
  )
})

await t.test('manual pages and completions of shells are brought along', async t => {
  const contents = await Promise.all(
    ['tlsfleet', 'tlsfleet-controller'].map(name =>
      listing(read(`${name}_1.2.3_all.deb`), 'data.tar.gz'),
    ),
  )
  for (const path of [
    'usr/share/man/man1/tlsfleet.1.gz',
    'usr/share/man/man8/tlsfleet-controller.8.gz',
    'usr/share/bash-completion/completions/tlsfleet',
    'usr/share/zsh/vendor-completions/_tlsfleet',
    'usr/share/fish/vendor_completions.d/tlsfleet.fish',
  ])
    t.ok(
      contents.flat().some(line => line.endsWith(` ./${path}`)),
      path,
    )
})

await t.test('two packages never bring the same file', async t => {
  const owner = new Map<string, string>()
  for (const name of names.filter(name => name.endsWith('.deb')))
    for (const line of await listing(read(name), 'data.tar.gz')) {
      if (line.startsWith('d')) continue
      t.equal(owner.get(line), undefined, line)
      owner.set(line, name)
    }
})

await t.test('maintainer scripts are whole, and ones that a shell can read', async t => {
  for (const name of ['tlsfleet-agent', 'tlsfleet-controller']) {
    const control = members(read(`${name}_1.2.3_all.deb`)).get('control.tar.gz')
    const path = join(directory, 'control.tar')
    writeFileSync(path, gunzipSync(control ?? ''))
    for (const script of ['postinst', 'prerm', 'postrm']) {
      const { stdout } = await runCommand('tar', ['-xOf', path, `./${script}`])
      t.match(stdout, name)
      t.notMatch(stdout, /@\w+@/, 'no placeholder is left')
      t.match(await runCommand('sh', ['-n'], { input: stdout }), { code: 0, stderr: '' })
    }
  }
})

await t.test('so are those of RPM', async t => {
  const scripts = globSync(join(SCRIPTS, 'rpm-*.sh'))
  t.equal(scripts.length, 5)
  for (const path of scripts) t.match(await runCommand('sh', ['-n', path]), { code: 0, stderr: '' })
})

await t.test('the bill of materials names what is in the programs, with digests', async t => {
  const bill: {
    components: { name: string; purl?: string; hashes?: { content: string }[] }[]
    dependencies: { ref: string; dependsOn: string[] }[]
  } = JSON.parse(read('tlsfleet-1.2.3.cdx.json').toString())
  t.match(bill, {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
    metadata: { timestamp: '2023-11-14T22:13:20.000Z', component: { version: '1.2.3' } },
  })
  const libraries = bill.components.filter(({ purl }) => purl !== undefined)
  t.ok(libraries.every(({ hashes }) => /^[0-9a-f]{128}$/.test(hashes?.[0]?.content ?? '')))
  const of = (ref: string) => bill.dependencies.find(one => one.ref === ref)?.dependsOn ?? []
  t.ok(of('tlsfleet-agent').some(ref => ref.startsWith('pkg:npm/chokidar@')))
  t.notOk(of('tlsfleet-agent').some(ref => ref.startsWith('pkg:npm/fastify@')))
  t.ok(of('tlsfleet-controller').some(ref => ref.startsWith('pkg:npm/fastify@')))
  t.ok(libraries.length > 20, `${libraries.length} packages`)
})

await t.test('a program that was stripped is smaller and runs', async t => {
  const whole = readFileSync(process.execPath)
  const stripped = stripElf(whole)
  const path = join(directory, 'root', 'node')
  writeFileSync(path, stripped)
  chmodSync(path, 0o755)
  t.ok(stripped.length <= whole.length)
  t.match(await runCommand(path, ['-p', '1 + 1']), { code: 0, stdout: '2\n' })
  t.throws(() => stripElf(Buffer.from('#!/bin/sh\n')), /no 64-bit/)
  t.throws(() => stripElf(whole.subarray(0, 1_000_000)), /ends before/)
})

await t.test('dpkg takes what we write', async t => {
  const archive = deb(
    {
      name: 'one-file',
      version: '1',
      description: ['a file', 'Of no use.'],
      requires: [{ name: 'other', from: '1', below: '2' }],
      libc: false,
      service: undefined,
      files: [{ path: 'usr/share/one-file', mode: 0o644, content: Buffer.from('x') }],
      debScripts: {},
      rpmScripts: {},
    },
    { architecture: 'all', epoch: EPOCH, compression: 'fast', cache: directory },
  )
  const path = join(directory, 'one-file.deb')
  writeFileSync(path, archive)
  const shown = await runCommand('dpkg-deb', ['--field', path, 'Depends', 'Version']).catch(
    () => undefined,
  )
  if (shown === undefined) {
    t.pass('there is no dpkg here')
    return
  }
  t.match(shown, { code: 0, stdout: 'Depends: other (>= 1), other (<< 2)\nVersion: 1\n' })
})
