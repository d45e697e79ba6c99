// The sandbox of the units, as systemd itself judges it, and that it understands every line.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { runCommand } from '../lab/command.ts'

const SYSTEMD = join(dirname(dirname(import.meta.dirname)), 'systemd')
/** Exposure, in tenths. */
const LIMITS = { 'tlsfleet-agent.service': 23, 'tlsfleet-controller.service': 15 } as const

const analyze = (...argv: readonly string[]) =>
  runCommand('systemd-analyze', argv, { env: { PATH: process.env['PATH'], LC_ALL: 'C' } })
const here = await analyze('--version').then(
  ({ code }) => code === 0,
  () => false,
)
const options = { skip: here ? false : 'there is no systemd-analyze here' }

for (const [unit, limit] of Object.entries(LIMITS)) {
  await t.test(`${unit} is exposed by ${limit / 10} at most`, options, async t => {
    const argv = ['security', '--offline=true', `--threshold=${limit}`, join(SYSTEMD, unit)]
    const { code, stdout, stderr } = await analyze(...argv)
    t.equal(code, 0, stderr + stdout.split('\n').slice(-2).join('\n'))
  })
}

await t.test('every unit is taken without a word', options, async t => {
  const units = readdirSync(SYSTEMD).filter(name => /\.(service|path)$/.test(name))
  const texts = units.map(unit => [unit, readFileSync(join(SYSTEMD, unit), 'utf8')] as const)
  // The programs are not installed here.
  const started = texts.map(([unit, text]) => [
    unit,
    text.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'),
  ])
  const directory = t.testdir(Object.fromEntries(started))
  const paths = units.map(unit => join(directory, unit))
  t.match(await analyze('verify', '--man=no', ...paths), { code: 0, stderr: '' })
  t.ok(units.length >= 3)
})
