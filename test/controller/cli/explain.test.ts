// `tlsfleet explain` and the topics of `help`: without a login, a controller or the web.

import { join } from 'node:path'
import t from 'tap'
import { TOPICS } from '../../../controller/cli/help-topics.ts'
import { allCodes } from '../../../shared/reasons/explain.ts'
import { tlsfleet } from './command.ts'

const config = join(t.testdir({}), 'none.json')
const ask = (...argv: readonly string[]) => tlsfleet(argv, { config })

await t.test('a code is explained with what to do', async t => {
  const { code, out } = await ask('explain', 'certificate-pending')
  t.equal(code, 0)
  t.match(out, /^certificate-pending\n {2}The certificate was asked for/)
  t.match(out, /What to do: .*tlsfleet csr ls/)
  const { out: json } = await ask('explain', 'certificate-pending', '--json')
  t.match(JSON.parse(json), { code: 'certificate-pending', meaning: /asked for/, action: /csr/ })
})

await t.test('pages that an explanation points to are named, not linked', async t => {
  const { out } = await ask('explain', 'older-epoch')
  t.match(out, /disaster recovery \(docs\/operations\.md#disaster-recovery\)/)
})

await t.test('without a code all of them are listed', async t => {
  const { out } = await ask('explain')
  for (const code of allCodes()) t.ok(out.includes(`  ${code}\n`), code)
})

await t.test('a code that there is not is refused with the closest one', async t => {
  const { code, err } = await ask('explain', 'certificate-pendign')
  t.equal(code, 1)
  t.match(err, /there is no such code \(not-found\)\nhint: did you mean certificate-pending\?/)
})

await t.test('help has its topics, and names them', async t => {
  const { out: help } = await ask('--help')
  for (const [name, text] of Object.entries(TOPICS)) {
    t.ok(help.includes(name), name)
    t.equal((await ask('help', name)).out.trim(), text.trim(), name)
  }
})
