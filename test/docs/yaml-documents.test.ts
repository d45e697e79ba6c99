// The YAML documents in the README and the guides: what people copy is accepted as it stands.

import { globSync } from 'node:fs'
import { dirname } from 'node:path'
import t from 'tap'
import { parseDesiredFile } from '../../agent/desired-file.ts'
import { parseFleetSpec } from '../../controller/fleet/spec.ts'
import { createCa } from '../simulators/certificates.ts'
import { readText } from './tables.ts'

const ROOT = dirname(dirname(import.meta.dirname))

const CA = createCa(t.testdir()).certPem
/** Whole documents, not parts of them: they begin with their version. */
const DOCUMENTS = globSync('{README.md,docs/*.md}', { cwd: ROOT })
  .toSorted()
  .flatMap(path =>
    [...readText(path).matchAll(/```yaml\n(version: 1\n[^]*?)```/g)].map(([, text = '']) => ({
      path,
      text: withCertificates(text),
    })),
  )

/** Documents leave out what is between the lines. */
function withCertificates(text: string): string {
  return text.replaceAll(
    /^( +)-----BEGIN CERTIFICATE-----\n +…\n +-----END CERTIFICATE-----\n/gm,
    (_, indent: string) => CA.replaceAll(/^(?=.)/gm, indent),
  )
}

const isFleetSpec = ({ text }: { readonly text: string }) => /^fleet:/m.test(text)

await t.test('every fleet spec of the documents is accepted', async t => {
  const specs = DOCUMENTS.filter(isFleetSpec)

  t.ok(
    specs.some(({ path }) => path === 'README.md'),
    'the README has one',
  )
  for (const { path, text } of specs) {
    const parsed = parseFleetSpec(text)
    t.strictSame(parsed.kind === 'ok' ? [] : parsed.problems, [], path)
  }
})

await t.test('every desired state of the documents is accepted', async t => {
  const files = DOCUMENTS.filter(document => !isFleetSpec(document))

  t.ok(files.length > 1, 'there are some')
  for (const { path, text } of files) {
    const { services } = await parseDesiredFile(text, path)
    t.ok(services.length > 0, path)
  }
})
