// An .rpm is written by rpmbuild, of which nothing is left to the machine that it runs on.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Compression } from './compress.ts'
import type { Architecture, Package } from './package-list.ts'

const RPM = { amd64: 'x86_64', arm64: 'aarch64', all: 'noarch' } as const

/** As rpmbuild says it: level and kind. */
const PAYLOAD: Readonly<Record<Compression, string>> = {
  xz: 'w6.xzdio',
  gz: 'w9.gzdio',
  fast: 'w1.gzdio',
}

/** The phases of a transaction that scripts are for. */
const PHASES = ['pre', 'post', 'preun', 'postun', 'posttrans']

export function rpmAvailable(): boolean {
  return spawnSync('rpmbuild', ['--version']).status === 0
}

export function rpmName({ name, version }: Package, architecture: Architecture | 'all'): string {
  return `${name}-${version}-1.${RPM[architecture]}.rpm`
}

export interface RpmOptions {
  readonly architecture: Architecture | 'all'
  readonly epoch: number
  readonly compression: Compression
}

export function rpm(one: Package, { architecture, epoch, compression }: RpmOptions): Buffer {
  const top = mkdtempSync(join(tmpdir(), 'tlsfleet-rpm-'))
  try {
    for (const { path, mode, content } of one.files) {
      const at = join(top, 'files', path)
      mkdirSync(dirname(at), { recursive: true })
      writeFileSync(at, content)
      chmodSync(at, mode)
    }
    writeFileSync(join(top, 'package.spec'), spec(one, join(top, 'files')))
    const defines = Object.entries(definesOf(top, compression)).flatMap(([name, value]) => [
      '--define',
      `${name} ${value}`,
    ])
    const target = ['--target', `${RPM[architecture]}-linux`]
    const { status, stderr } = spawnSync(
      'rpmbuild',
      ['-bb', '--quiet', ...target, ...defines, join(top, 'package.spec')],
      {
        env: {
          PATH: process.env['PATH'],
          HOME: top,
          LC_ALL: 'C',
          SOURCE_DATE_EPOCH: String(epoch),
        },
      },
    )
    if (status !== 0) throw new Error(`run rpmbuild for ${one.name}: ${stderr.toString()}`)
    const [built] = readdirSync(join(top, 'out'))
    return readFileSync(join(top, 'out', built ?? ''))
  } finally {
    rmSync(top, { recursive: true, force: true })
  }
}

function definesOf(top: string, compression: Compression): Readonly<Record<string, string>> {
  return {
    _topdir: top,
    _rpmdir: join(top, 'out'),
    _rpmfilename: '%{NAME}.rpm',
    _buildhost: 'tlsfleet',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    _binary_payload: PAYLOAD[compression],
    // The runtime is stripped already, and nothing is to be found out about it.
    __os_install_post: '%{nil}',
    debug_package: '%{nil}',
    _build_id_links: 'none',
  }
}

function spec(one: Package, files: string): string {
  const [summary = '', ...more] = one.description
  const requires = one.requires.flatMap(({ name, from, below }) => [
    `Requires: ${name} >= ${from}`,
    ...(below === undefined ? [] : [`Requires: ${name} < ${below}`]),
  ])
  return [
    `Name: ${one.name}`,
    `Version: ${one.version}`,
    'Release: 1',
    `Summary: ${summary}`,
    'License: Apache-2.0',
    'AutoReqProv: no',
    ...(one.libc ? ['Requires: glibc >= 2.28', 'Requires: libstdc++ >= 8'] : []),
    ...requires,
    '%description',
    ...more,
    '%install',
    `cp -a ${files}/. %{buildroot}/`,
    ...PHASES.flatMap(phase => {
      const script = one.rpmScripts[phase]
      return script === undefined ? [] : [`%${phase}`, script]
    }),
    '%files',
    ...ownDirectories(one).map(path => `%dir %attr(755, root, root) "/${path}"`),
    ...one.files.map(({ path, mode }) => `%attr(${mode.toString(8)}, root, root) "/${path}"`),
    '',
  ].join('\n')
}

/** Those that no other package has, so that they go with the last of ours. */
function ownDirectories({ files }: Package): readonly string[] {
  const directories = files.map(({ path }) => dirname(path))
  const own = directories.filter(path => /^usr\/(lib|share\/doc)\/tlsfleet/.test(path))
  return [...new Set([...own, 'usr/lib/tlsfleet'])].toSorted()
}
