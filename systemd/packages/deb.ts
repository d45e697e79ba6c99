// A .deb is an ar archive of three members. Written here, it needs neither Debian nor root, and two
// builds are the same to the byte.

import { createHash } from 'node:crypto'
import type { Compression } from './compress.ts'
import { compress, SUFFIX } from './compress.ts'
import type { Architecture, Package } from './package-list.ts'
import { type FileEntry, tar } from './tar.ts'

const DEBIAN = { amd64: 'amd64', arm64: 'arm64', all: 'all' } as const

export interface DebOptions {
  readonly architecture: Architecture | 'all'
  readonly epoch: number
  readonly compression: Compression
  readonly cache: string
}

export function debName({ name, version }: Package, architecture: Architecture | 'all'): string {
  return `${name}_${version}_${DEBIAN[architecture]}.deb`
}

export function deb(one: Package, { architecture, epoch, compression, cache }: DebOptions): Buffer {
  const control: readonly FileEntry[] = [
    { path: 'control', mode: 0o644, content: Buffer.from(controlOf(one, architecture)) },
    { path: 'md5sums', mode: 0o644, content: Buffer.from(md5sums(one.files)) },
    ...Object.entries(one.debScripts).map(([path, text]) => ({
      path,
      mode: 0o755,
      content: Buffer.from(text),
    })),
  ]
  const data = compress(tar(one.files, './', epoch), compression, cache)
  return ar(epoch, [
    ['debian-binary', Buffer.from('2.0\n')],
    ['control.tar.gz', compress(tar(control, './', epoch), 'gz', cache)],
    [`data.tar.${SUFFIX[compression]}`, data],
  ])
}

function controlOf(one: Package, architecture: Architecture | 'all'): string {
  const kib = one.files.reduce((sum, { content }) => sum + Math.ceil(content.length / 1024), 0)
  const [summary = '', ...more] = one.description
  const depends = one.requires.map(({ name, from, below }) =>
    [`${name} (>= ${from})`, ...(below === undefined ? [] : [`${name} (<< ${below})`])].join(', '),
  )
  return [
    `Package: ${one.name}`,
    `Version: ${one.version}`,
    `Architecture: ${DEBIAN[architecture]}`,
    'Maintainer: tlsfleet <tlsfleet@localhost>',
    `Installed-Size: ${kib}`,
    ...(one.libc ? ['Depends: libc6 (>= 2.28), libstdc++6 (>= 8)'] : []),
    ...(depends.length === 0 ? [] : [`Depends: ${depends.join(', ')}`]),
    ...(one.service === undefined ? [] : ['Recommends: systemd (>= 247)']),
    'Section: admin',
    'Priority: optional',
    `Description: ${summary}`,
    ...more.map(line => ` ${line}`),
    '',
  ].join('\n')
}

function md5sums(files: readonly FileEntry[]): string {
  return files
    .map(({ path, content }) => `${createHash('md5').update(content).digest('hex')}  ${path}\n`)
    .toSorted()
    .join('')
}

function ar(epoch: number, members: readonly (readonly [string, Buffer])[]): Buffer {
  const parts = members.flatMap(([name, content]) => [
    Buffer.from(
      `${name.padEnd(16)}${String(epoch).padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}` +
        `${'100644'.padEnd(8)}${String(content.length).padEnd(10)}\`\n`,
    ),
    content,
    Buffer.from(content.length % 2 === 1 ? '\n' : ''),
  ])
  return Buffer.concat([Buffer.from('!<arch>\n'), ...parts])
}
