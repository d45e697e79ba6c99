// `ssl.*` of a Beat: its settings, its files (opened relative to the working directory), and what a
// connection is made with. Files are read once, or again at a handshake where the version does that.

import { createPrivateKey, type X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import {
  connect,
  createSecureContext,
  type ConnectionOptions,
  type PeerCertificate,
  type SecureContext,
} from 'node:tls'
import { checkName } from '../go/client.ts'
import { parseDurationMs } from '../go/duration.ts'
import { certificatesIn, systemRoots } from '../go/roots.ts'
import { GoError, type KeyPair, readGoFile, x509KeyPair } from '../go/x509-key-pair.ts'
import { BeatError, isOn, type Settings, settingsAt, textAt, textsAt, valueAt } from './ucfg.ts'
import { canRestartItself, certificateReload } from './versions.ts'

type Mode = 'full' | 'strict' | 'certificate' | 'none'

export interface TlsSettings {
  /** Paths, or PEM. */
  readonly authorities: readonly string[]
  readonly certificate: string | undefined
  readonly key: string | undefined
  readonly passphrase: string | undefined
  readonly mode: Mode
  readonly trustedFingerprint: string | undefined
  /** Undefined: files are read once. */
  readonly reloadEveryMs: number | undefined
  /** Undefined: the Beat does not restart itself when one is changed. */
  readonly restartEveryMs: number | undefined
}

export interface TlsOptions {
  readonly version: string
  readonly env: NodeJS.ProcessEnv
}

/** Of the section `ssl`; undefined where there is none, or it is disabled: the system's roots then. */
export function tlsSettingsOf(
  parent: Settings,
  { version, env }: TlsOptions,
): TlsSettings | undefined {
  if (valueAt(parent, 'ssl') === undefined) return undefined
  const ssl = settingsAt(parent, 'ssl')
  if (!isOn(ssl, 'enabled', true)) return undefined
  const certificate = textAt(ssl, 'certificate')
  const key = textAt(ssl, 'key')
  if (certificate !== undefined && key === undefined) throw new BeatError('key file not configured')
  if (certificate === undefined && key !== undefined) {
    throw new BeatError('certificate file not configured')
  }
  const reload = certificateReload(version, env['SIM_CERTIFICATE_RELOAD'])
  const reloads = reload !== 'unknown' && isOn(ssl, 'certificate_reload.enabled', reload === 'on')
  return {
    authorities: textsAt(ssl, 'certificate_authorities'),
    certificate,
    key,
    passphrase: textAt(ssl, 'key_passphrase'),
    mode: modeOf(textAt(ssl, 'verification_mode') ?? 'full'),
    trustedFingerprint: textAt(ssl, 'ca_trusted_fingerprint')?.toLowerCase(),
    reloadEveryMs: reloads
      ? durationAt(ssl, 'certificate_reload.reload_interval', 5_000)
      : undefined,
    restartEveryMs: restartEvery(ssl, version),
  }
}

function modeOf(text: string): Mode {
  if (text === 'full' || text === 'strict' || text === 'certificate' || text === 'none') return text
  throw new BeatError(`unsupported verification mode '${text}'`)
}

function restartEvery(ssl: Settings, version: string): number | undefined {
  if (!canRestartItself(version)) return undefined
  const everyMs = durationAt(ssl, 'restart_on_cert_change.period', 60_000)
  if (everyMs < 1_000) {
    throw new BeatError("'restart_on_cert_change.period' must be equal or greather than 1s")
  }
  return isOn(ssl, 'restart_on_cert_change.enabled', false) ? everyMs : undefined
}

export function durationAt(settings: Settings, path: string, byDefaultMs: number): number {
  const text = textAt(settings, path)
  if (text === undefined) return byDefaultMs
  // A number alone is seconds.
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : parseDurationMs(text)
  if (ms === undefined) throw new BeatError(`time: invalid duration "${text}" accessing '${path}'`)
  return ms
}

/** Paths among the settings: what a restart or a reload looks at. */
export function tlsFiles({ authorities, certificate, key }: TlsSettings): readonly string[] {
  const all = [...authorities, certificate, key]
  return all.filter(path => path !== undefined).filter(path => !isInline(path))
}

function isInline(text: string): boolean {
  return text.trim().startsWith('-')
}

export interface Tls {
  /** For a handshake with this host now. */
  connectionOptions(host: string, port: number): Promise<ConnectionOptions>
}

/** Throws where a file cannot be used: the Beat does not start then. */
export function openTls(
  settings: TlsSettings | undefined,
  log: (message: string) => void = () => {},
  nowMs: () => number = Date.now,
): Tls {
  const authorities = settings?.authorities ?? []
  const mode = settings?.mode ?? 'full'
  const trustedFingerprint = settings?.trustedFingerprint
  const reloadEveryMs = settings?.reloadEveryMs
  const found: string[] = []
  // With no settings there is no file that could be missing, and the system's roots are many.
  let loaded = settings === undefined ? undefined : load(settings, found)
  let readMs = nowMs()

  const refresh = () => {
    if (reloadEveryMs === undefined || nowMs() - readMs < reloadEveryMs) return
    readMs = nowMs()
    try {
      loaded = load(settings, found)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      log(`Failed to reload TLS certificate, continuing with current certificate: ${why}`)
    }
  }
  return {
    connectionOptions: async (host, port) => {
      refresh()
      if (trustedFingerprint !== undefined && found.length === 0) {
        found.push(...(await lookForCa(host, port, trustedFingerprint)))
        if (found.length > 0) loaded = load(settings, found)
      }
      loaded ??= load(settings, found)
      return {
        secureContext: loaded,
        servername: isIP(host) === 0 ? host : '',
        rejectUnauthorized: mode !== 'none',
        checkServerIdentity: (_, certificate) => checkIdentity(mode, host, certificate),
      }
    },
  }

  function load(of: TlsSettings | undefined, more: readonly string[]): SecureContext {
    const own = authorities.flatMap(readAuthority)
    const pair = of === undefined ? undefined : readPair(of)
    return createSecureContext({
      ca: [...(own.length === 0 && more.length === 0 ? systemRoots() : own), ...more],
      // Whatever is among the roots ends a chain.
      allowPartialTrustChain: true,
      minVersion: 'TLSv1.2',
      ...(pair === undefined ? {} : { cert: pair.certPem, key: pair.keyPem }),
    })
  }
}

function readAuthority(authority: string): readonly string[] {
  const text = isInline(authority) ? authority : readReporting(authority)
  const found = certificatesIn(text)
  if (found.length > 0) return found
  const name = isInline(authority) ? 'PEM REDACTED' : authority
  throw new BeatError(`file is not a certificate adding ${name} to the list of known CAs`)
}

function readReporting(path: string): string {
  try {
    return readGoFile(path)
  } catch (error) {
    if (error instanceof GoError) throw new BeatError(`${error.message} reading ${path}`)
    throw error
  }
}

function readPair({ certificate, key, passphrase }: TlsSettings): KeyPair | undefined {
  if (certificate === undefined || key === undefined) return undefined
  try {
    const [certPem, keyPem] = [certificate, key].map(pem => (isInline(pem) ? pem : readGoFile(pem)))
    const plain = /ENCRYPTED/.test(keyPem ?? '')
      ? decryptKey(keyPem ?? '', passphrase ?? '')
      : keyPem
    return x509KeyPair(certPem ?? '', plain ?? '')
  } catch (error) {
    if (error instanceof GoError) throw new BeatError(error.message)
    throw error
  }
}

function decryptKey(pem: string, passphrase: string): string {
  try {
    const key = createPrivateKey({ key: pem, passphrase })
    return String(key.export({ type: 'pkcs8', format: 'pem' }))
  } catch {
    throw new GoError('no PEM blocks')
  }
}

/** `full` takes the common name where there are no DNS names; `strict` is what Go itself does. */
function checkIdentity(mode: Mode, host: string, certificate: PeerCertificate): Error | undefined {
  if (mode === 'certificate' || mode === 'none') return undefined
  const names = (certificate.subjectaltname ?? '').split(', ')
  const named = names.some(name => name.startsWith('DNS:'))
  const common = certificate.subject?.CN
  if (mode === 'full' && isIP(host) === 0 && !named && common !== undefined) {
    const subjectaltname = `DNS:${[common].flat()[0] ?? ''}`
    return checkName(host, { ...certificate, subjectaltname })
  }
  return checkName(host, certificate)
}

/** The CA of that fingerprint where the server sends it along; nothing otherwise. */
function lookForCa(host: string, port: number, fingerprint: string): Promise<readonly string[]> {
  return new Promise(resolve => {
    const servername = isIP(host) === 0 ? { servername: host } : {}
    const socket = connect({ host, port, rejectUnauthorized: false, ...servername })
    const done = (roots: readonly string[]) => {
      socket.destroy()
      resolve(roots)
    }
    socket.once('error', () => done([]))
    socket.once('secureConnect', () => {
      const chain: X509Certificate[] = []
      let at = socket.getPeerX509Certificate()
      while (at !== undefined && chain.length < CHAIN_MAX) {
        chain.push(at)
        at = at.issuerCertificate
      }
      const digest = (certificate: X509Certificate) =>
        certificate.fingerprint256.replaceAll(':', '').toLowerCase()
      done(chain.filter(ca => ca.ca && digest(ca) === fingerprint).map(String))
    })
  })
}

const CHAIN_MAX = 10
