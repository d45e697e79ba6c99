// `[[gates]]` of controller.toml: whom rollouts may ask for a verdict, and with which secrets. The fleet
// spec names URLs; which of them are asked is not for it to say.
//
//   [[gates]]
//   origin = "https://prometheus.example.org:9090"   # http on loopback alone
//   tokenFile = "/etc/tlsfleet/prometheus-token"     # sent as a bearer token; optional
//   secretFile = "/etc/tlsfleet/gate-secret"         # signs what a webhook is told; optional
//   caFile = "/etc/tlsfleet/corp-root.pem"           # absent: the public CAs that Node brings

import { readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import * as z from 'zod/mini'
import { OperationalError } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import { isLoopback } from '../metrics/listener.ts'
import type { GateServer } from './external.ts'

const Path = z
  .string()
  .check(z.maxLength(1024), z.refine(isAbsolute, { error: 'must be an absolute path' }))

export const GateTables = z
  .array(
    z.strictObject({
      origin: z.string().check(z.maxLength(512)),
      tokenFile: z.optional(Path),
      secretFile: z.optional(Path),
      caFile: z.optional(Path),
    }),
  )
  .check(z.maxLength(16))
export type GateTables = z.infer<typeof GateTables>

export type GateSettings = Readonly<GateTables[number]>

/** Throws `config-invalid`. */
export function gateSettings(tables: GateTables): readonly GateSettings[] {
  return tables.map(table => ({ ...table, origin: originIn(table.origin) }))
}

function originIn(text: string): string {
  const url = URL.parse(text)
  const host = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? ''
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(host))
  if (url !== null && isSafe && url.username === '' && url.pathname === '/' && url.search === '')
    return url.origin
  throw new OperationalError(
    'config-invalid',
    `gates.origin ${text} is not https://host:port, or http:// on loopback`,
  )
}

/** Reads the files once at the start. Throws `gate-unusable`. */
export function readGateServers(settings: readonly GateSettings[]): readonly GateServer[] {
  return settings.map(({ origin, tokenFile, secretFile, caFile }) => ({
    origin,
    token: tokenFile === undefined ? undefined : new Secret(readText(origin, tokenFile).trim()),
    secret: secretFile === undefined ? undefined : new Secret(readText(origin, secretFile).trim()),
    ca: caFile && readText(origin, caFile),
  }))
}

function readText(origin: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const message = `could not use gate ${origin}: ${path} could not be read`
    throw new OperationalError('gate-unusable', message, { cause })
  }
}
