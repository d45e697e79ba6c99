// DNS-01 through a local program, by the convention of lego's exec provider: `present FQDN VALUE`
// and `cleanup FQDN VALUE`, and `check FQDN VALUE` where that is configured. What is wrong, the
// program says on its output, and its exit code is not 0.

import { spawn } from 'node:child_process'
import { OperationalError } from '../../../shared/errors.ts'
import type { AcmeDnsRecord } from '../../store/acme-store.ts'
import { requireOwnedProgram } from './owned-program.ts'
import type { DnsProgram } from './settings.ts'

export type DnsVerb = 'present' | 'check' | 'cleanup'

export type RunDns = (
  dns: DnsProgram,
  verb: DnsVerb,
  record: AcmeDnsRecord,
  signal: AbortSignal,
) => Promise<void>

// Nothing of the controller's own environment: no credentials directory, no proxy, no preload.
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }
const OUTPUT_BYTES_KEPT = 2_048

/** Throws `dns-program-unusable`, `dns-program-failed`, `interrupted`. */
export const runDnsProgram: RunDns = async (dns, verb, { fqdn, value }, signal) => {
  const program = requireOwnedProgram(dns.program, process.getuid?.() ?? 0)
  const ended = await run(program, [verb, fqdn, value], dns.timeoutMs, signal)
  if (ended.why === 'exit 0') return
  if (signal.aborted) throw new OperationalError('interrupted', 'interrupted')
  const said = ended.output === '' ? '' : `: ${ended.output}`
  throw new OperationalError(
    'dns-program-failed',
    `${dns.program} ${verb} ${fqdn} failed (${ended.why})${said}`,
    { retryable: true },
  )
}

/** In a process group of its own: what it has started ends with it. */
function run(
  program: string,
  argv: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{ readonly why: string; readonly output: string }> {
  return new Promise(resolve => {
    const child = spawn(program, argv, {
      cwd: '/',
      env: ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let output = Buffer.alloc(0)
    const keep = (chunk: Buffer) => {
      output = Buffer.concat([output, chunk]).subarray(-OUTPUT_BYTES_KEPT)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)

    let why: string | undefined
    const end = (reason: string) => {
      why ??= reason
      killGroup(child.pid)
    }
    const timer = setTimeout(() => end(`no end within ${timeoutMs / 1000} s`), timeoutMs)
    const interrupt = () => end('interrupted')
    signal.addEventListener('abort', interrupt, { once: true })
    if (signal.aborted) interrupt()

    const settle = (reason: string) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', interrupt)
      resolve({ why: why ?? reason, output: printable(output.toString('utf8')) })
    }
    child.once('error', error => settle(error.message))
    child.once('exit', (code, killedBy) => {
      const reason = code === null ? `killed by ${killedBy}` : `exit ${code}`
      // Whatever it has left behind would keep its output open.
      killGroup(child.pid)
      child.once('close', () => settle(reason))
    })
  })
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left in it.
  }
}

function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim()
}
