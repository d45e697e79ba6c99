// Pairs that other tools keep behind symlinks: where to watch, and that the watch sees it.

import { renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createFiles } from '../../agent/edges/files.ts'
import { createWatcher } from '../../agent/edges/watch.ts'
import { placesOf } from '../../agent/source-places.ts'
import { until } from '../lab/until.ts'

await t.test('every link on the way and the end of it are places to watch', async t => {
  const links = new Map([
    ['/live/a.pem', '../archive/a1.pem'],
    ['/pod/tls.crt', '..data/tls.crt'],
    ['/pod/..data', '..2026'],
    ['/etc/pki', '/data/pki'],
    ['/data/pki/a.pem', './x/../b.pem'],
    ['/data/pki/x', '/elsewhere/deep'],
    ['/ring', '/ring'],
  ])
  const files = { readLink: async (path: string) => links.get(path) }
  const table = {
    '/plain/a.pem': ['/plain/a.pem'],
    '/live/a.pem': ['/live/a.pem', '/archive/a1.pem'],
    '/pod/tls.crt': ['/pod/tls.crt', '/pod/..data', '/pod/..2026/tls.crt'],
    '/etc//pki/./a.pem': [
      '/etc//pki/./a.pem',
      '/etc/pki',
      '/data/pki/a.pem',
      '/data/pki/x',
      '/elsewhere/b.pem',
    ],
    '/ring': ['/ring', '/'],
  }
  for (const [path, places] of Object.entries(table))
    t.strictSame(await placesOf(files, path), places, path)
})

await t.test('what certbot and others do to a pair is seen', async t => {
  const root = t.testdir({
    archive: { 'a1.pem': '1', 'a2.pem': '2' },
    live: { 'a.pem': t.fixture('symlink', '../archive/a1.pem') },
    pod: {
      '..one': { 'tls.crt': '1' },
      '..two': { 'tls.crt': '2' },
      '..data': t.fixture('symlink', '..one'),
      'tls.crt': t.fixture('symlink', '..data/tls.crt'),
    },
  })
  const files = createFiles()
  let told: string[] = []
  const watcher = createWatcher(path => told.push(path))
  t.teardown(() => watcher.close())
  const at = (path: string) => join(root, path)
  const sees = async (what: string, path: string, change: () => void) => {
    const places = [at('live/a.pem'), at('pod/tls.crt')].map(one => placesOf(files, one))
    watcher.setPaths((await Promise.all(places)).flat())
    await watcher.settled()
    told = []
    change()
    await until(() => told.includes(at(path)), { what, everyMs: 10 })
    t.pass(what)
  }
  const relink = (target: string, path: string) => {
    symlinkSync(target, at(`${path}.new`))
    renameSync(at(`${path}.new`), at(path))
  }

  const write = (path: string, text: string) => () => writeFileSync(at(path), text)
  await sees('written behind the link', 'archive/a1.pem', write('archive/a1.pem', '11'))
  await sees('the link switched', 'live/a.pem', () => relink('../archive/a2.pem', 'live/a.pem'))
  await sees('written behind it now', 'archive/a2.pem', write('archive/a2.pem', '22'))
  await sees('a directory of the way switched', 'pod/..data', () => relink('..two', 'pod/..data'))
  await sees('and written behind it', 'pod/..two/tls.crt', write('pod/..two/tls.crt', '33'))
})
