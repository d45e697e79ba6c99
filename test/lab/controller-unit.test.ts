// The controller's unit as it ships, on real systemd: its own user, no capabilities, the passphrase as
// an encrypted credential, all listeners on all addresses.

import t from 'tap'
import { PROJECT_IN_NODE, until } from './lab.ts'
import { withLab } from './with-lab.ts'

const WRAPPER = `#!/bin/sh\nexec /usr/bin/node ${PROJECT_IN_NODE}/controller/main.ts "$@"\n`

await withLab(t, { nodes: 1 }, async lab => {
  const sh = (script: string) => lab.output('n1', ['sh', '-euc', script], { timeoutMs: 60_000 })
  await lab.writeFile('n1', '/usr/bin/tlsfleet-controller', WRAPPER)
  await sh(`chmod 755 /usr/bin/tlsfleet-controller
    cp ${PROJECT_IN_NODE}/systemd/tlsfleet-controller.service /etc/systemd/system/
    cp ${PROJECT_IN_NODE}/systemd/tlsfleet.sysusers /usr/lib/sysusers.d/tlsfleet.conf
    systemd-sysusers
    systemctl daemon-reload`)

  await t.test('it starts, serves on all addresses, and cannot be read by others', async t => {
    await sh(`tlsfleet-controller init --fleet lab --public-name n1 --data-dir /var/lib/tlsfleet/controller \\
      --passphrase-file /root/passphrase
      mkdir -m 700 -p /etc/credstore.encrypted
      systemd-creds encrypt --name=ca-passphrase /root/passphrase /etc/credstore.encrypted/ca-passphrase
      sed -i /passphraseFile/d /var/lib/tlsfleet/controller/controller.toml
      systemctl start tlsfleet-controller`)

    const health = await until(
      async () => {
        const answer = await lab.http('ctl', 'https://n1:8443/healthz', { insecure: true })
        return answer.status === 200 ? answer : undefined
      },
      { what: 'the controller answers' },
    )

    t.equal(health.status, 200)
    t.equal(await lab.output('n1', ['systemctl', 'is-active', 'tlsfleet-controller']), 'active')
    const user = await sh('ps -o user= -p $(systemctl show tlsfleet-controller -p MainPID --value)')
    t.equal(user.trim(), 'tlsfleet')
    t.equal(await sh('stat -c %a /var/lib/tlsfleet /var/lib/tlsfleet/controller'), '755\n700')
    t.notMatch(
      await sh('cat /proc/$(systemctl show tlsfleet-controller -p MainPID --value)/environ'),
      /passphrase=/i,
    )
  })

  await t.test('a stop is clean, and it comes back on the same data', async t => {
    await sh('systemctl restart tlsfleet-controller')
    await until(
      async () =>
        (await lab.http('ctl', 'https://n1:8443/healthz', { insecure: true })).status === 200,
      { what: 'the controller answers again' },
    )
    t.equal(
      await lab.output('n1', ['systemctl', 'show', 'tlsfleet-controller', '--property=Result']),
      'Result=success',
    )
  })
})
