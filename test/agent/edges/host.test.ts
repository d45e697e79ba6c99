import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createAccounts } from '../../../agent/edges/accounts.ts'
import { createHost } from '../../../agent/edges/host.ts'

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\nprom:x:900:901::/:/bin/false\n'
const GROUP = 'root:x:0:\nprom:x:901:\nssl-cert:x:902:prom\n'

await t.test('accounts are those of the tree, then those of this machine', async t => {
  const root = t.testdir({ etc: { passwd: PASSWD, group: GROUP } })
  const accounts = createAccounts({ root })

  t.same(await accounts.user('prom'), { uid: 900, gid: 901 })
  t.same(await accounts.user('900'), { uid: 900, gid: 901 })
  t.equal(await accounts.group('ssl-cert'), 902)
  t.equal(await accounts.primaryGroup('prom'), 'prom')
  t.match(await accounts.user('nobody'), { uid: Number, gid: Number })
  t.equal(await accounts.user('no-such-user'), undefined)
  t.equal(await accounts.group('no-such-group'), undefined)
  t.equal(await accounts.primaryGroup('no-such-user'), undefined)
})

await t.test('a changed file is read again', async t => {
  const root = t.testdir({ etc: { passwd: PASSWD, group: GROUP } })
  const accounts = createAccounts({ root })
  t.equal(await accounts.user('late'), undefined)

  writeFileSync(join(root, 'etc/passwd+'), `${PASSWD}late:x:7:8::/:/bin/false\n`)
  renameSync(join(root, 'etc/passwd+'), join(root, 'etc/passwd'))

  t.same(await accounts.user('late'), { uid: 7, gid: 8 })
})

await t.test('names that no file has are asked of the name service, and remembered', async t => {
  const root = t.testdir({ etc: { passwd: PASSWD, group: GROUP } })
  const getent = join(root, 'getent')
  const log = join(root, 'log')
  writeFileSync(
    getent,
    `#!/bin/sh\necho "$@" >>${log}\n[ "$3" = ldap-user ] && echo 'ldap-user:*:5000:5001::/:/bin/sh' || exit 2\n`,
  )
  chmodSync(getent, 0o755)
  const accounts = createAccounts({ root, getent })

  t.same(await accounts.user('ldap-user'), { uid: 5000, gid: 5001 })
  t.same(await accounts.user('ldap-user'), { uid: 5000, gid: 5001 })
  t.equal(await accounts.user('--help'), undefined)
  t.equal(await accounts.user('--help'), undefined)

  t.equal(readFileSync(log, 'utf8'), 'passwd -- ldap-user\npasswd -- --help\npasswd -- --help\n')
})

await t.test('a service sees a path below the root only where it runs outside of it', async t => {
  const root = t.testdir({ etc: { f: 'text' } })

  t.equal(createHost().servicePath('/etc/f'), '/etc/f')
  t.equal(createHost({ root }).servicePath('/etc/f'), '/etc/f')
  t.equal(createHost({ root, systemctl: '/bin/false' }).servicePath('/etc/f'), `${root}/etc/f`)
  const host = createHost({ root, systemctl: '/bin/false' })
  t.equal(Buffer.from((await host.files.read('/etc/f')) ?? []).toString(), 'text')
  t.equal(host.random(16).length, 16)
  t.same(Object.keys(host).toSorted(), [
    'accounts',
    'clock',
    'commands',
    'files',
    'isOffline',
    'network',
    'random',
    'servicePath',
    'services',
    'trees',
  ])
})

await t.test('a root without a service manager is an image, in which nothing runs', async t => {
  const root = t.testdir({
    etc: { passwd: PASSWD, group: GROUP },
    usr: { lib: { systemd: { system: { 'x.service': '[Service]\nExecStart=/bin/x\n' } } } },
  })

  const host = createHost({ root })

  t.same(
    [host, createHost(), createHost({ root, systemctl: '/bin/false' })].map(one => one.isOffline),
    [true, false, false],
  )
  t.match(await host.services.show('x.service'), { activeState: 'inactive' })
  t.same(await host.accounts.user('prom'), { uid: 900, gid: 901 })
  t.equal(await host.accounts.user('nobody'), undefined, 'accounts of this machine mean nothing')
  t.equal(await host.accounts.group('daemon'), undefined)
})
