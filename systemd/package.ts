// `npm run package`: everything that is installed on machines, into dist/packages.
//
//   --fast            larger, in seconds: no xz, only for this kind of machine, only .deb
//   --version V       called V instead of the project's version
//   --out DIRECTORY   instead of dist/packages

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundleProgram, PROGRAM_NAMES } from './bundle.ts'
import { type Compression, compress, sha256 } from './packages/compress.ts'
import { deb, debName } from './packages/deb.ts'
import { lockedPackage, nodePackage, notices, runtime } from './packages/npm-packages.ts'
import {
  type Architecture,
  licenceOfProject,
  type Package,
  programPackage,
  runtimePackage,
} from './packages/package-list.ts'
import { rpm, rpmAvailable, rpmName } from './packages/rpm.ts'
import { sbom } from './packages/sbom.ts'
import { type FileEntry, tar } from './packages/tar.ts'

const PROJECT = dirname(import.meta.dirname)
/** What costs minutes and is always the same; gone with the next `npm ci`. */
const CACHE = join(PROJECT, 'node_modules/.cache/tlsfleet-packages')

export interface PackageOptions {
  readonly out: string
  readonly version: string
  /** Seconds since 1970; the time of everything in the packages. */
  readonly epoch: number
  readonly compression: Compression
  readonly architectures: readonly Architecture[]
  readonly formats: readonly ('deb' | 'rpm' | 'tar')[]
  readonly print: (line: string) => void
}

/** Writes the packages, a bill of materials and the digests of all of them; says which. */
export async function buildPackages(options: PackageOptions): Promise<readonly string[]> {
  const { version, epoch, architectures, print } = options
  const contents: Record<string, ReturnType<typeof lockedPackage>[]> = {}
  const programs: Package[] = []
  const work = mkdtempSync(join(tmpdir(), 'tlsfleet-packages-'))
  try {
    for (const program of PROGRAM_NAMES) {
      const directory = join(work, program)
      const names = await bundleProgram(directory, program, version)
      contents[program] = [...names].map(lockedPackage)
      const texts = notices(names, licenceOfProject())
      const versions = { version, epoch, node: nodePackage('amd64').version }
      programs.push(programPackage({ program, directory, notices: texts }, versions))
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  contents['tlsfleet-runtime'] = architectures.map(nodePackage)

  mkdirSync(options.out, { recursive: true })
  const sums: string[] = []
  const write = (name: string, content: Buffer) => {
    writeFileSync(join(options.out, name), content)
    sums.push(`${sha256(content)}  ${name}\n`)
    print(`${(content.length / 1e6).toFixed(2).padStart(7)} MB  ${name}`)
  }
  for (const one of programs) writePackage(one, 'all', options, write)
  for (const architecture of architectures) {
    const { node, licence } = runtime(architecture, CACHE)
    const one = runtimePackage(node, licence, nodePackage(architecture).version)
    writePackage(one, architecture, options, write)
    if (!options.formats.includes('tar')) continue
    const name = `tlsfleet-${version}-linux-${architecture}`
    // Everybody can open this kind.
    const compression = options.compression === 'fast' ? 'fast' : 'gz'
    const files: readonly FileEntry[] = [...programs, one].flatMap(({ files }) => files)
    write(`${name}.tar.gz`, compress(tar(files, `${name}/`, epoch), compression, CACHE))
  }
  const { license }: { license: string } = JSON.parse(readManifest())
  write(`tlsfleet-${version}.cdx.json`, Buffer.from(sbom({ version, license, epoch, contents })))
  writeFileSync(join(options.out, 'SHA256SUMS'), sums.toSorted(byName).join(''))
  return sums.map(nameOf)
}

function writePackage(
  one: Package,
  architecture: Architecture | 'all',
  { epoch, compression, formats }: PackageOptions,
  write: (name: string, content: Buffer) => void,
): void {
  if (formats.includes('deb')) {
    const options = { architecture, epoch, compression, cache: CACHE }
    write(debName(one, architecture), deb(one, options))
  }
  if (formats.includes('rpm')) {
    const options = { architecture, epoch, compression }
    write(rpmName(one, architecture), rpm(one, options))
  }
}

function nameOf(sum: string): string {
  return sum.slice(sum.indexOf('  ') + 2).trimEnd()
}

function byName(a: string, b: string): number {
  return nameOf(a) < nameOf(b) ? -1 : 1
}

function readManifest(): string {
  return readFileSync(join(PROJECT, 'package.json'), 'utf8')
}

/** SOURCE_DATE_EPOCH, or the time of the last commit. */
function epochOf(given: string | undefined): number {
  const argv = ['-C', PROJECT, 'log', '-1', '--format=%ct']
  const text = given ?? execFileSync('git', argv, { encoding: 'utf8' }).trim()
  if (!/^\d+$/.test(text))
    throw new Error(`SOURCE_DATE_EPOCH is ${text}: seconds since 1970 wanted`)
  return Number(text)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      fast: { type: 'boolean', default: false },
      version: { type: 'string' },
      out: { type: 'string', default: join(PROJECT, 'dist/packages') },
    },
  })
  const print = (line: string) => void process.stdout.write(`${line}\n`)
  const manifest: { version: string } = JSON.parse(readManifest())
  const withRpm = !values.fast && rpmAvailable()
  if (!values.fast && !withRpm)
    print('no rpmbuild here (Debian: apt install rpm): there will be no .rpm')
  const here = process.arch === 'arm64' ? 'arm64' : 'amd64'
  await buildPackages({
    out: values.out,
    version: values.version ?? manifest.version,
    epoch: epochOf(process.env['SOURCE_DATE_EPOCH']),
    compression: values.fast ? 'fast' : 'xz',
    architectures: values.fast ? [here] : ['amd64', 'arm64'],
    formats: values.fast ? ['deb'] : withRpm ? ['deb', 'rpm', 'tar'] : ['deb', 'tar'],
    print,
  })
}

if (import.meta.main) await main()
