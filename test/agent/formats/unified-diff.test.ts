import t from 'tap'
import { unifiedDiff } from '../../../agent/formats/unified-diff.ts'

const path = '/etc/x.conf'
const head = `--- ${path}\n+++ ${path}\n`
const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}\n`).join('')

await t.test('equal texts have no diff', async t => {
  t.equal(unifiedDiff('a\n', 'a\n', { path }), '')
})

await t.test('hunks have three lines of context and the numbers that patch expects', async t => {
  const before = lines(1, 30)
  const after = before.replace('5\n', 'five\n').replace('8\n', '').replace('\n25\n', '\n25\nnew\n')

  t.equal(
    unifiedDiff(before, after, { path }),
    `${head}@@ -2,10 +2,9 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n-8\n 9\n 10\n 11\n` +
      '@@ -23,6 +22,7 @@\n 23\n 24\n 25\n+new\n 26\n 27\n 28\n',
  )
  t.equal(
    unifiedDiff(before, after, { path, contextLines: 0 }),
    `${head}@@ -5 +5 @@\n-5\n+five\n@@ -8 +7,0 @@\n-8\n@@ -25,0 +25 @@\n+new\n`,
  )
})

await t.test('a file that comes or goes whole', async t => {
  t.equal(unifiedDiff('', 'a\nb\n', { path }), `${head}@@ -0,0 +1,2 @@\n+a\n+b\n`)
  t.equal(unifiedDiff('a\n', '', { path }), `${head}@@ -1 +0,0 @@\n-a\n`)
})

await t.test('a missing final newline is marked', async t => {
  const mark = '\\ No newline at end of file\n'

  t.equal(unifiedDiff('a', 'a\n', { path }), `${head}@@ -1 +1 @@\n-a\n${mark}+a\n`)
  t.equal(unifiedDiff('a\nb', 'c\nb', { path }), `${head}@@ -1,2 +1,2 @@\n-a\n+c\n b\n${mark}`)
})

await t.test('carriage returns are not shown but count', async t => {
  t.equal(unifiedDiff('a\r\nb\r\n', 'a\r\nc\r\n', { path }), `${head}@@ -1,2 +1,2 @@\n a\n-b\n+c\n`)
  t.equal(unifiedDiff('a\r\n', 'a\n', { path }), `${head}@@ -1 +1 @@\n-a\n+a\n`)
})

await t.test('texts that have nothing in common are replaced, however long they are', async t => {
  const diff = unifiedDiff(lines(1, 5000), lines(10_001, 15_000), { path })

  t.ok(diff.startsWith(`${head}@@ -1,5000 +1,5000 @@\n-1\n-2\n`))
  t.equal(diff.split('\n').length, 10_004)
})

await t.test('one changed line of ten megabytes is found', async t => {
  const big = 'a line of text\n'.repeat(350_000)

  const diff = unifiedDiff(`${big}x\n${big}`, `${big}y\n${big}`, { path, contextLines: 1 })

  t.equal(diff, `${head}@@ -350000,3 +350000,3 @@\n a line of text\n-x\n+y\n a line of text\n`)
})
