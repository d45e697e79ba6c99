// `npm run docs`: writes the pages that are generated. With --check it writes nothing and fails when
// what is there differs from what would be written.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { generatedPages } from './pages.ts'

const PROJECT = dirname(dirname(import.meta.dirname))

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
for (const { path, text } of await generatedPages()) {
  const file = join(PROJECT, path)
  const isCurrent = existsSync(file) && readFileSync(file, 'utf8') === text
  if (isCurrent) continue
  process.stdout.write(
    `${path} ${values.check ? 'is not what `npm run docs` writes' : 'written'}\n`,
  )
  if (values.check) process.exitCode = 1
  else {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
}
