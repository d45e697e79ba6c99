// Pages that are generated are what the sources say now, and manual pages are ones that can be read.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { MANUALS } from '../../docs/generate/manuals.ts'
import { generatedPages } from '../../docs/generate/pages.ts'
import { escaped } from '../../docs/generate/roff.ts'
import { runCommand } from '../lab/command.ts'

const ROOT = dirname(dirname(import.meta.dirname))

await t.test('every generated page is as `npm run docs` would write it', async t => {
  for (const { path, text } of await generatedPages()) {
    const file = join(ROOT, path)
    const found = existsSync(file) ? readFileSync(file, 'utf8') : ''
    t.ok(found === text, `${path}; else run: npm run docs`)
  }
})

await t.test('links of generated pages lead somewhere', async t => {
  for (const { path, text } of await generatedPages())
    for (const [, target = ''] of text
      .replaceAll(/`[^`\n]*`/g, '')
      .matchAll(/\]\(([^)#\s:]+)(?:#[^)]*)?\)/g))
      t.ok(existsSync(join(ROOT, dirname(path), target)), `${path} -> ${target}`)
})

const EDITION = { date: '2026-11-22', version: '1.2.3' }
const GROFF = '/usr/bin/groff'

await t.test(
  'manual pages are read without a warning',
  existsSync(GROFF) ? {} : { skip: 'there is no groff on this machine' },
  async t => {
    for (const { file, text } of Object.values(MANUALS)) {
      const argv = ['-ww', '-man', '-Tutf8']
      const { code, stderr, stdout } = await runCommand(GROFF, argv, { input: text(EDITION) })
      t.match({ code, stderr }, { code: 0, stderr: '' }, file)
      t.match(stdout, /tlsfleet/, file)
    }
  },
)

await t.test('a manual page names every option of its program as it is typed', async t => {
  const agent = MANUALS['tlsfleet-agent'].text(EDITION)
  for (const option of ['\\-\\-desired FILE', '\\-\\-token\\-file FILE', '\\-\\-version'])
    t.ok(agent.includes(option), option)
  t.match(MANUALS.tlsfleet.text(EDITION), /\.SS "tlsfleet rollout show \[options\] <id>"/)
  t.equal(escaped('.so -x \\e'), '\\&.so \\-x \\ee')
})
