import { join } from 'node:path'
import t from 'tap'
import { runCommand } from '../lab/command.ts'
import { createCa, issue, write } from './certificates.ts'
import { testPrometheus } from './prometheus-behaviour.ts'

const PROMETHEUS = join(import.meta.dirname, 'prometheus/prometheus-sim.ts')
const PROMTOOL = join(import.meta.dirname, 'prometheus/promtool-sim.ts')
const PAIR = 'tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n'

await testPrometheus(t, {
  name: 'simulator',
  prometheus: [process.execPath, PROMETHEUS],
  promtool: [process.execPath, PROMTOOL],
})

await t.test('the simulator of another version knows the keys of that version', async t => {
  const directory = t.testdir()
  issue(createCa(directory), 'a')
  const sans = write(directory, 'sans.yml', `${PAIR}  client_allowed_sans: [a]\n`)
  const inline = write(directory, 'inline.yml', 'tls_server_config:\n  cert: x\n  key: y\n')
  const rate = write(directory, 'rate.yml', 'rate_limit:\n  burst: 1\n')
  const check = async (file: string, SIM_VERSION: string) => {
    return (
      await runCommand(process.execPath, [PROMTOOL, 'check', 'web-config', file], {
        env: { SIM_VERSION },
      })
    ).stderr
  }
  t.match(await check(sans, '2.44.0'), 'field client_allowed_sans not found')
  t.match(await check(sans, '2.45.0'), 'SUCCESS')
  t.match(await check(inline, '2.45.0'), 'field cert not found')
  t.match(
    await check(inline, '2.53.0'),
    'failed to load X509KeyPair: tls: failed to find any PEM data',
  )
  t.match(await check(rate, '3.5.0'), 'field rate_limit not found')
  t.match(await check(rate, '3.8.1'), 'SUCCESS')
})
