// `[acme.<name>]` of controller.toml: a directory that certificates are ordered at (RFC 8555).
//
//   [acme.corp]
//   directory = "https://ca.example.org/acme/directory"
//   termsAgreed = true                       # nothing is ordered without it
//   email = "pki@example.org"
//   caFile = "/etc/tlsfleet/corp-root.pem"   # the directory's own TLS; absent: the public CAs that Node brings
//   eab = { kid = "kid-1", hmacFile = "/etc/tlsfleet/corp-eab" }      # external account binding
//   dns = { program = "/usr/local/lib/tlsfleet/dns-update", timeout = "2m", check = false }
//   http01 = { listen = "0.0.0.0:8080" }     # false by default; port 80 must lead here
//   ipAddresses = false                      # whether it issues for IP addresses (RFC 8738)
//   atOnce = 4                               # orders under way
//   ordersPerHour = 60
//   pollLimit = "5m"                         # for a validation or an issuance, in one attempt
//   retry = "1m"                             # after a first failure; doubles up to 1h

import { isAbsolute } from 'node:path'
import * as z from 'zod/mini'
import { Name } from '../../../shared/contract/schema.ts'
import { formatDuration, parseDuration } from '../../../shared/duration.ts'
import { OperationalError } from '../../../shared/errors.ts'

export interface AcmeDirectory {
  readonly name: string
  readonly url: string
  readonly email: string | undefined
  /** PEM file with the roots that the directory's own TLS is verified by; undefined: public CAs. */
  readonly caFile: string | undefined
  readonly eab: { readonly kid: string; readonly hmacFile: string } | undefined
  /** Undefined: no DNS-01. */
  readonly dns: DnsProgram | undefined
  /** Undefined: no HTTP-01. */
  readonly http01: { readonly host: string; readonly port: number } | undefined
  readonly ipAddresses: boolean
  readonly atOnce: number
  readonly ordersPerHour: number
  readonly pollLimitMs: number
  readonly retryMs: number
}

export interface DnsProgram {
  /** Absolute. */
  readonly program: string
  readonly timeoutMs: number
  /** Asked by `check` whether the record can be seen, before the directory looks. */
  readonly check: boolean
}

const Text = z.string().check(z.minLength(1), z.maxLength(1024))

export const AcmeTable = z.record(
  Name,
  z.strictObject({
    directory: Text,
    termsAgreed: z.optional(z.boolean()),
    email: z.optional(z.string().check(z.maxLength(254), z.regex(/^[^\s@?%,]+@[^\s@?%,]+$/))),
    caFile: z.optional(Text),
    eab: z.optional(z.strictObject({ kid: Text, hmacFile: Text })),
    dns: z.optional(
      z.strictObject({
        program: Text,
        timeout: z.optional(Text),
        check: z.optional(z.boolean()),
      }),
    ),
    http01: z.optional(z.union([z.literal(false), z.strictObject({ listen: Text })])),
    ipAddresses: z.optional(z.boolean()),
    atOnce: z.optional(z.int().check(z.minimum(1), z.maximum(64))),
    ordersPerHour: z.optional(z.int().check(z.minimum(1), z.maximum(100_000))),
    pollLimit: z.optional(Text),
    retry: z.optional(Text),
  }),
)
export type AcmeTable = z.infer<typeof AcmeTable>
type Entry = AcmeTable[string]

const MINUTE_MS = 60_000

/** Throws `config-invalid`. `parseListen` is that of the other listeners. */
export function acmeDirectories(
  table: AcmeTable,
  parseListen: (text: string) => { readonly host: string; readonly port: number },
): readonly AcmeDirectory[] {
  return Object.entries(table)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, entry]) => directoryOf(name, entry, parseListen))
}

function directoryOf(
  name: string,
  entry: Entry,
  parseListen: Parameters<typeof acmeDirectories>[1],
): AcmeDirectory {
  const at = `acme.${name}`
  if (entry.termsAgreed !== true)
    throw invalid(
      `${at}.termsAgreed must be true: nothing is ordered from a directory whose terms nobody has agreed to`,
    )
  const http01 = typeof entry.http01 === 'object' ? parseListen(entry.http01.listen) : undefined
  if (entry.dns === undefined && http01 === undefined)
    throw invalid(`${at} can solve no challenge: give \`dns\`, or \`http01\` with \`listen\``)
  if (entry.caFile !== undefined) requireAbsolute(`${at}.caFile`, entry.caFile)
  if (entry.eab !== undefined) requireAbsolute(`${at}.eab.hmacFile`, entry.eab.hmacFile)
  return {
    name,
    url: httpsUrl(`${at}.directory`, entry.directory),
    email: entry.email,
    caFile: entry.caFile,
    eab: entry.eab,
    dns: entry.dns && dnsProgram(`${at}.dns`, entry.dns),
    http01,
    ipAddresses: entry.ipAddresses ?? false,
    atOnce: entry.atOnce ?? 4,
    ordersPerHour: entry.ordersPerHour ?? 60,
    pollLimitMs: duration(`${at}.pollLimit`, entry.pollLimit, 5 * MINUTE_MS),
    retryMs: duration(`${at}.retry`, entry.retry, MINUTE_MS),
  }
}

function dnsProgram(at: string, dns: NonNullable<Entry['dns']>): DnsProgram {
  requireAbsolute(`${at}.program`, dns.program)
  return {
    program: dns.program,
    timeoutMs: duration(`${at}.timeout`, dns.timeout, 2 * MINUTE_MS),
    check: dns.check ?? false,
  }
}

// Over plain HTTP, whoever is in between would answer in the directory's place.
function httpsUrl(key: string, text: string): string {
  const url = URL.parse(text)
  if (url?.protocol === 'https:' && url.username === '' && url.hash === '') return url.href
  throw invalid(`${key} is ${text}, not an https URL`)
}

function requireAbsolute(key: string, path: string): void {
  if (!isAbsolute(path)) throw invalid(`${key} is ${path}, not an absolute path`)
}

const DURATION_MS_MIN = 1_000
const DURATION_MS_MAX = 60 * MINUTE_MS

function duration(key: string, text: string | undefined, defaultMs: number): number {
  const ms = text === undefined ? defaultMs : parseDuration(text)
  if (ms !== undefined && ms >= DURATION_MS_MIN && ms <= DURATION_MS_MAX) return ms
  const limits = `from ${formatDuration(DURATION_MS_MIN)} to ${formatDuration(DURATION_MS_MAX)}`
  throw invalid(`${key} is ${text}, not a duration ${limits}`)
}

function invalid(message: string): OperationalError {
  return new OperationalError('config-invalid', message)
}
