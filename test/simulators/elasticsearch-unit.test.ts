// The Elasticsearch simulator as a service of the sandbox, with the unit of the package.

import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createSandboxNode } from '../sandbox/sandbox.ts'
import { createNode, HTTP } from './elasticsearch-scene.ts'
import { stockUnit } from './elasticsearch/stock.ts'

const PROGRAM = join(import.meta.dirname, 'elasticsearch/elasticsearch-sim.ts')

await t.test('a start returns when the node listens, or fails with it', async t => {
  const host = await createSandboxNode({ dir: t.testdir(), name: 'host', services: [] })
  t.teardown(() => host.powerOff())
  const node = await createNode(t, join(t.testdirName, 'es'))
  node.configure('')
  const passphrase = join(node.directory, 'passphrase')
  writeFileSync(
    join(host.root, 'etc/systemd/system/elasticsearch.service'),
    stockUnit({
      command: `${process.execPath} ${PROGRAM} --version 8.13.0 --quiet`,
      directory: node.directory,
      user: userInfo().username,
    }),
  )
  mkdirSync(join(host.root, 'etc/default'), { recursive: true })
  writeFileSync(join(host.root, 'etc/default/elasticsearch'), '')
  await host.run('daemon-reload')

  t.match(await host.run('start', 'elasticsearch'), { code: 0, stderr: '' })
  t.equal((await node.ask('/')).status, 200, 'it answers at once, cluster or not')
  t.match(await host.run('show', '--property=Type,SubState', 'elasticsearch'), {
    stdout: 'Type=notify\nSubState=running\n',
  })

  t.match(await host.run('stop', 'elasticsearch'), { code: 0 })
  node.secrets({ [`${HTTP}.keystore.secure_password`]: 'x' })
  t.match(await host.run('start', 'elasticsearch'), { code: 1 })
  t.match(host.log('elasticsearch.service'), /\[xpack\.security\.http\.ssl\.enabled\] is not set/)
  t.match(await host.run('show', '--property=Result,ExecMainStatus', 'elasticsearch'), {
    stdout: 'Result=exit-code\nExecMainStatus=1\n',
  })

  // The start script is told of the file by the environment of the unit.
  writeFileSync(
    join(host.root, 'etc/default/elasticsearch'),
    `ES_KEYSTORE_PASSPHRASE_FILE=${passphrase}\n`,
  )
  node.secrets({})
  t.match(await host.run('restart', 'elasticsearch'), { code: 1 })
  t.match(host.log('elasticsearch.service'), /passphrase: No such file or directory/)
  writeFileSync(passphrase, 'unused\n')
  t.match(await host.run('restart', 'elasticsearch'), { code: 0 })
})
