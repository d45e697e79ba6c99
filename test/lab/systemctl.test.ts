// The real systemd of a lab node gives the transcript that the sandbox is held to.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t from 'tap'
import { runScenario } from '../sandbox/scenario.ts'
import { golden, GOLDEN } from '../sandbox/golden.ts'
import { withLab } from './with-lab.ts'

await withLab(t, { nodes: 1 }, async lab => {
  await t.test('systemd behaves and prints as the golden transcript says', async t => {
    const transcript = await runScenario({
      systemctl: argv => lab.exec('n1', ['systemctl', ...argv]),
      writeFile: (path, contents) => lab.writeFile('n1', path, contents),
      readLink: async path => {
        const { code, stdout } = await lab.exec('n1', ['readlink', path])
        return code === 0 ? stdout.trimEnd() : undefined
      },
    })
    if (process.env['TLSFLEET_GOLDEN'] === 'write') {
      mkdirSync(dirname(GOLDEN), { recursive: true })
      writeFileSync(GOLDEN, transcript)
    }
    t.equal(transcript, golden())
  })
})
