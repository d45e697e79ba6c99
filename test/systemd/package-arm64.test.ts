// The archive for arm64, unpacked and run: its runtime by QEMU, with Debian's libraries for it. Not
// part of CI: QEMU alone is 60 MB to fetch, and so is the runtime for another machine.
//
//   apt-get install qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildPackages } from '../../systemd/package.ts'
import { runCommand } from '../lab/command.ts'
import { NOT_IN_CI } from '../test-file.ts'

const QEMU = 'qemu-aarch64-static'
const LIBRARIES = '/usr/aarch64-linux-gnu'
const FOLDERS = {
  'tlsfleet-agent': 'agent',
  'tlsfleet-controller': 'controller',
  tlsfleet: 'cli',
} as const

const missing =
  spawnSync(QEMU, ['--version']).status !== 0
    ? `${NOT_IN_CI}: ${QEMU} is not installed`
    : existsSync(`${LIBRARIES}/lib/libstdc++.so.6`)
      ? false
      : `${NOT_IN_CI}: the libraries of arm64 are not installed (libc6-arm64-cross, libstdc++6-arm64-cross)`

await t.test(
  'the programs of the archive for arm64 tell their version on it',
  { skip: missing, timeout: 300_000 },
  async t => {
    const out = t.testdir({})
    await buildPackages({
      out,
      version: '1.2.3',
      epoch: 1_700_000_000,
      compression: 'fast',
      architectures: ['arm64'],
      formats: ['tar'],
      print: () => {},
    })
    const archive = join(out, 'tlsfleet-1.2.3-linux-arm64.tar.gz')
    t.match(await runCommand('tar', ['-xzf', archive, '-C', out]), { code: 0, stderr: '' })
    const lib = join(out, 'tlsfleet-1.2.3-linux-arm64/usr/lib/tlsfleet')
    const run = (...argv: readonly string[]) =>
      runCommand(QEMU, ['-L', LIBRARIES, join(lib, 'node'), ...argv], { timeoutMs: 120_000 })

    t.match(await run('-p', 'process.arch'), { code: 0, stdout: 'arm64\n', stderr: '' })
    for (const [program, folder] of Object.entries(FOLDERS)) {
      const told = await run(join(lib, folder, `${program}.mjs`), '--version')
      t.match(told, { code: 0, stdout: /1\.2\.3\n$/, stderr: '' }, program)
    }
  },
)
