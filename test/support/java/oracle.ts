// Java as another implementation: one JVM answers all questions of a test file (Oracle.java).

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'

const PROGRAM = join(import.meta.dirname, 'Oracle.java')
// The compiler starts within the JVM; on a busy machine that takes a while.
const TIMEOUT_MS = 900_000

export interface Oracle {
  /** A place for files, gone at the end. */
  readonly directory: string
  /** One command and its answer, both in words. */
  readonly ask: (...words: readonly string[]) => Promise<readonly string[]>
}

/**
 * Runs `body` with the oracle. Without a JDK the test is skipped with that reason; in CI it fails,
 * because a green run must not have compared with nothing.
 */
export async function withOracle(t: Test, body: (oracle: Oracle) => Promise<void>): Promise<void> {
  const why = javaUnavailable()
  if (why !== undefined) {
    if ((process.env['CI'] ?? '') === '') t.plan(0, why)
    else t.fail(why)
    return
  }
  t.setTimeout(TIMEOUT_MS)
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-java-'))
  // The client compiler alone starts faster, and nothing here runs long.
  const options = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto']
  const child = spawn('java', [...options, PROGRAM], { stdio: 'pipe' })
  const exited = new Promise(resolve => child.once('exit', resolve))
  try {
    await body({ directory, ask: asker(child) })
  } finally {
    child.stdin.end()
    await exited
    rmSync(directory, { recursive: true })
  }
}

/** Why Java cannot be asked here, or undefined. A runtime without a compiler is not enough. */
function javaUnavailable(): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(':')
  return directories.some(directory => existsSync(join(directory, 'javac')))
    ? undefined
    : 'needs a JDK: apt-get install openjdk-17-jdk-headless'
}

function asker(child: ChildProcessWithoutNullStreams): Oracle['ask'] {
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let complaints = ''
  child.stderr.on('data', chunk => (complaints += String(chunk)))
  return async (...words) => {
    child.stdin.write(`${words.join('\t')}\n`)
    const answer = await answers.next()
    if (answer.done === true) throw new Error(`java ended: ${complaints}`)
    return answer.value.split('\t')
  }
}
