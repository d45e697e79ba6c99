// What is in the packages, as CycloneDX 1.6. Nothing in it depends on when or where it is written.

import { createHash } from 'node:crypto'
import type { NpmPackage } from './npm-packages.ts'

export interface SbomOptions {
  readonly version: string
  readonly license: string
  readonly epoch: number
  /** By program; the runtime is one of them. */
  readonly contents: Readonly<Record<string, readonly NpmPackage[]>>
}

export function sbom({ version, license, epoch, contents }: SbomOptions): string {
  const packages = new Map(
    Object.values(contents)
      .flat()
      .map(one => [refOf(one), one] as const),
  )
  const parts = Object.keys(contents).toSorted()
  const product = { type: 'application', 'bom-ref': 'tlsfleet-product', name: 'tlsfleet', version }
  const body = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: { ...product, licenses: [{ license: { id: license } }] },
    },
    components: [
      ...parts.map(name => ({ type: 'application', 'bom-ref': name, name, version })),
      ...[...packages.keys()].toSorted().flatMap(ref => componentOf(ref, packages.get(ref))),
    ],
    dependencies: [
      { ref: 'tlsfleet-product', dependsOn: parts },
      ...parts.map(ref => ({ ref, dependsOn: (contents[ref] ?? []).map(refOf).toSorted() })),
    ],
  }
  return `${JSON.stringify({ serialNumber: serialOf(JSON.stringify(body)), ...body }, undefined, 2)}\n`
}

function componentOf(ref: string, found: NpmPackage | undefined): readonly object[] {
  if (found === undefined) return []
  const { name, version, integrity, license } = found
  const content = Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex')
  return [
    {
      type: 'library',
      'bom-ref': ref,
      name,
      version,
      purl: ref,
      hashes: [{ alg: 'SHA-512', content }],
      // A name of SPDX, or several of them joined.
      licenses: [/[ ()]/.test(license) ? { expression: license } : { license: { id: license } }],
    },
  ]
}

function refOf({ name, version }: NpmPackage): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

/** The same contents have the same number. */
function serialOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
  ]
  return `urn:uuid:${[...parts, hex.slice(20, 32)].join('-')}`
}
