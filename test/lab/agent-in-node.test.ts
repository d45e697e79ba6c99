import t from 'tap'
import { installAgent } from './agent-in-node.ts'
import { withLab } from './with-lab.ts'

await withLab(t, { nodes: 1 }, async lab => {
  const agent = await installAgent(lab, 'n1', { config: 'interval = "1m"\n' })

  await t.test('the agent that is installed in a node runs there, on its own Node', async t => {
    t.match(await agent.run('--version'), { code: 0, stdout: /^tlsfleet-agent / })
    t.match(await agent.run('frobnicate'), { stderr: /unknown command/ })
  })

  await t.test("the agent's unit is one that systemd takes without a word", async t => {
    const verify = ['systemd-analyze', 'verify', '--man=no', 'tlsfleet-agent.service']
    const { stdout, stderr } = await lab.exec('n1', verify)
    // It exits with 0 for a key that it does not know: what it says counts.
    const about = (stdout + stderr).split('\n').filter(line => line.includes('tlsfleet'))
    t.same(about, [])
  })
})
