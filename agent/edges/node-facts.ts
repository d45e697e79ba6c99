// What the reports say of the machine. Shown to operators, used for nothing.

import { hostname } from 'node:os'
import * as z from 'zod/mini'
import { parser } from '../../shared/contract/schema.ts'
import type { Logger } from '../../shared/log.ts'
import { runProgram } from './run-program.ts'

const NodeFacts = z.record(z.string(), z.string())
export type NodeFacts = Readonly<z.infer<typeof NodeFacts>>

const parse = parser('facts of the machine', NodeFacts)

const TEXT_LENGTH_MAX = 200

export async function readNodeFacts(): Promise<NodeFacts> {
  const { default: information } = await import('systeminformation')
  const { distro, release, kernel, arch } = await information.osInfo()
  return {
    hostname: hostname(),
    os: `${distro} ${release}`.trim().slice(0, TEXT_LENGTH_MAX),
    kernel: kernel.slice(0, TEXT_LENGTH_MAX),
    arch,
  }
}

// A start of this program and a few reads.
const TIMEOUT_MS = 20_000

/**
 * The same from a process of its own, which takes the library with it when it ends: 1.3 MiB for as
 * long as the daemon lives. `program`: the agent's. Never rejects.
 */
export async function askNodeFacts(
  log: Logger,
  program = process.argv[1] ?? '',
): Promise<NodeFacts> {
  const environment = { LC_ALL: 'C', PATH: process.env['PATH'] ?? '' }
  try {
    const argv = [process.execPath, program, 'facts']
    const { stdout } = await runProgram(argv, { timeoutMs: TIMEOUT_MS, environment })
    return parse(JSON.parse(stdout))
  } catch (error) {
    log.warn({ err: error }, 'facts of the machine could not be read')
    return { hostname: hostname() }
  }
}
