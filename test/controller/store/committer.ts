// Not a test: the process that sqlite.test.ts kills. Commits numbers, prints each once it is durable.

import { openSqliteStore } from '../../../controller/store/sqlite.ts'

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: committer.ts <database>')

const store = await openSqliteStore({ path, busyTimeoutMs: 0 })
for (;;) {
  const number = await store.transaction(async tx => {
    const next = Number((await tx.settings.get('left')) ?? '0') + 1
    await tx.settings.set('left', `${next}`)
    await tx.settings.set('right', `${next}`)
    return next
  })
  process.stdout.write(`${number}\n`)
}
