import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { Reason } from '../../../shared/contract/schema.ts'
import { because, DRIVER_REASONS } from '../../../agent/services/reasons.ts'
import { explain } from '../../../shared/reasons/explain.ts'

const SOURCES = globSync('../../../agent/services/**/*.ts', { cwd: import.meta.dirname })
  .filter(path => !path.endsWith('/reasons.ts'))
  .map(path => readFileSync(new URL(path, import.meta.url), 'utf8'))
  .join('\n')

await t.test('every reason code is well formed, explained, and used', async t => {
  for (const code of DRIVER_REASONS) {
    t.ok(Reason.safeParse({ code, message: 'x' }).success, code)
    t.match(explain(code)?.meaning, /^[A-Z].*\.$/, code)
    t.ok(SOURCES.includes(`'${code}'`), `${code} is used`)
  }
  t.same(because('tls-required', 'x'), { code: 'tls-required', message: 'x' })
})
