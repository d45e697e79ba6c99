// docs/products against the contract: a page for every product, which names every option of it and
// only reason codes that exist.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { DRIVER_REASONS } from '../../agent/services/reasons.ts'
import { SERVICE_NAMES, SERVICE_OPTIONS } from '../../shared/contract/service.ts'
import { codesIn, readText } from './tables.ts'

const ROOT = dirname(dirname(import.meta.dirname))
// Nothing but codes of several words; what has a dash elsewhere is a key of a product.
const CODES = /\(((?:`[a-z]+(?:-[a-z0-9]+)+`(?:, )?)+)\)/g

await t.test('every product has a page that names its options', async t => {
  for (const service of SERVICE_NAMES) {
    const path = `docs/products/${service}.md`
    if (!existsSync(join(ROOT, path))) {
      t.fail(`${path} does not exist`)
      continue
    }
    const text = readText(path)
    for (const option of Object.keys(SERVICE_OPTIONS[service].shape))
      t.match(text, new RegExp(`\`(options\\.)?${option}\\b`), `${option} in ${path}`)
  }
})

// Given by the stage that looks at upstreams, not by drivers.
const OTHER_CODES = ['upstream-unreachable', 'upstream-untrusted']

await t.test('reason codes that the pages name in parentheses exist', async t => {
  const known = new Set<string>([...DRIVER_REASONS, ...OTHER_CODES])

  for (const service of SERVICE_NAMES)
    for (const [, list = ''] of readText(`docs/products/${service}.md`).matchAll(CODES))
      for (const code of codesIn(list).filter(one => !one.startsWith('window-')))
        t.ok(known.has(code), `${code} of ${service}.md`)
})

await t.test('every product is in the list of the README, with a link to its page', async t => {
  const text = readText('README.md')

  for (const service of SERVICE_NAMES)
    t.match(text, `(docs/products/${service}.md)`, `${service} in README.md`)
})

await t.test('links between documents lead somewhere', async t => {
  const examples = ['acme', 'elastic', 'influxdb-enterprise', 'prometheus']
  const documents = [
    'README.md',
    'docs/fleet-spec.md',
    ...SERVICE_NAMES.map(service => `docs/products/${service}.md`),
    ...examples.map(name => `examples/${name}/README.md`),
  ].filter(path => existsSync(join(ROOT, path)))

  for (const path of documents)
    for (const [, target = ''] of readText(path).matchAll(/\]\(([^)#\s:]+)(?:#[^)]*)?\)/g))
      t.ok(existsSync(join(ROOT, dirname(path), target)), `${path} -> ${target}`)
})
