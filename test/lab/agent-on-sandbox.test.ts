// The agent's standalone pass on sandbox nodes: a whole convergence without root or systemd.

import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand } from './command.ts'
import { until } from './until.ts'
import { createCa } from '../simulators/certificates.ts'
import { probe } from '../simulators/probe.ts'
import { createSandboxNode, freePort, type SandboxNode } from '../sandbox/sandbox.ts'

const AGENT = join(dirname(dirname(import.meta.dirname)), 'agent/main.ts')

for (const influxdb of ['1.6.7', '1.12.3']) {
  await t.test(
    `the agent converges a node with prometheus 2.42.0 and influxd ${influxdb}`,
    async t => {
      const ca = createCa(t.testdir())
      const [prometheusPort, influxdbPort] = [await freePort(), await freePort()]
      const node = await createSandboxNode({
        dir: ca.directory,
        name: 'n1',
        services: [
          { service: 'prometheus', port: prometheusPort, version: '2.42.0' },
          { service: 'influxdb', port: influxdbPort, version: influxdb },
        ],
      })
      t.teardown(() => node.stop())
      // Paths in documents are the node's own.
      mkdirSync(join(node.root, 'root'))
      copyFileSync(ca.certFile, join(node.root, 'root/ca.crt'))
      copyFileSync(ca.keyFile, join(node.root, 'root/ca.key'))
      await untilAnswers(prometheusPort, '/-/ready')
      await untilAnswers(influxdbPort, '/ping')
      const agent = createAgent(node)

      t.match(await agent('plan'), { code: 2 })
      t.match(await agent('apply'), { code: 0 })
      t.match(await probe({ port: prometheusPort, path: '/-/ready', ca: ca.certPem }), {
        status: 200,
      })
      t.match(await probe({ port: influxdbPort, path: '/ping', ca: ca.certPem }), { status: 204 })

      const before = await invocations(node)
      t.match(await agent('apply'), { code: 0, changed: 0 })
      t.match(await agent('verify'), { code: 0 })
      t.equal(await invocations(node), before, 'nothing was restarted')
      await untilScraped(t, prometheusPort, ca.certPem)
    },
  )
}

function createAgent(node: SandboxNode) {
  const file = join(dirname(node.root), 'desired.json')
  writeFileSync(
    file,
    JSON.stringify({
      version: 1,
      services: ['prometheus', 'influxdb'].map(service => ({
        service,
        issuer: 'local-ca',
        names: { dns: ['localhost'], ip: ['127.0.0.1'] },
        verify: { stableFor: '1s', deadline: '120s' },
      })),
      issuers: { localCa: { certificate: '/root/ca.crt', privateKey: '/root/ca.key' } },
    }),
  )
  const where = ['--root', node.root, '--systemctl', node.systemctl, '--json']
  return async (command: string) => {
    const argv = [AGENT, command, '--desired', file, ...where]
    const { code, stdout, stderr } = await runCommand(process.execPath, argv, {
      timeoutMs: 400_000,
    })
    const result: { changed?: number } = stdout === '' ? {} : JSON.parse(stdout)
    return { code, changed: result.changed, stdout, stderr }
  }
}

async function invocations(node: SandboxNode): Promise<string> {
  const units = ['prometheus', 'influxdb']
  return (await node.run('show', '--property=InvocationID,NRestarts', ...units)).stdout
}

async function untilAnswers(port: number, path: string): Promise<void> {
  await until(async () => (await probe({ port, path })).status < 300, { what: `${port} answers` })
}

/** The self-scrape must have been switched along. */
async function untilScraped(t: Test, port: number, ca: string): Promise<void> {
  await until(
    async () => (await probe({ port, ca, path: '/api/v1/targets' })).body.includes('"health":"up"'),
    { what: 'prometheus scrapes itself over TLS' },
  )
  t.pass('prometheus scrapes itself over TLS')
}
