import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { OperationalError } from '../../../shared/errors.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import { createClient } from '../client.ts'
import { type Context, configPath, storeContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { fetchPinnedRoot } from '../pin.ts'

export interface LoginOptions {
  readonly url: string
  readonly token?: string
  readonly tokenFile?: string
  readonly caPin?: string
  readonly caFile?: string
  readonly cert?: string
  readonly key?: string
}

export async function login(session: Session, options: LoginOptions): Promise<ExitCode> {
  const url = parseUrl(options.url)
  const credential = await readCredential(session, options)
  const ca = await readCa(session, url, options)

  const login = { url, ...credential, ca }
  const client = createClient(login, session.signal)
  const who = await client.whoami().finally(() => client.close())

  const context = session.contextName ?? who.fleet
  const path = configPath(session.environment)
  storeContext(path, context, login)
  show(
    session,
    { context, url, ...who },
    shown =>
      `logged in to fleet ${shown.fleet} as ${shown.name} (${shown.role}), context ${context}\n`,
  )
  return EXIT.ok
}

function parseUrl(text: string): string {
  const url = URL.parse(text)
  if (url !== null && url.protocol === 'https:' && url.username === '' && url.password === '')
    return url.origin
  throw new OperationalError('usage', `could not read the URL ${text}`, {
    hint: 'give the operator port of the controller: --url https://controller.example.org:8443',
  })
}

async function readCredential(
  session: Session,
  options: LoginOptions,
): Promise<Pick<Context, 'token' | 'certificate'>> {
  const { cert, key, token, tokenFile } = options
  if (cert === undefined && key === undefined) return { token: await readToken(session, options) }
  if (cert === undefined || key === undefined || token !== undefined || tokenFile !== undefined)
    throw new OperationalError('usage', 'could not log in', {
      cause: new Error('a client certificate is given with --cert and --key, and without a token'),
    })
  return { certificate: { certFile: resolve(cert), keyFile: resolve(key) } }
}

async function readToken(session: Session, options: LoginOptions): Promise<string> {
  const { token, tokenFile } = options
  if ((token === undefined) === (tokenFile === undefined))
    throw new OperationalError('usage', 'could not log in', {
      cause: new Error('exactly one of --token-file and --token is needed'),
      hint: 'keep the token in a file (--token-file FILE) or pipe it in (--token -); or give a client certificate (--cert, --key)',
    })
  const isTyped = token !== undefined && token !== '-'
  if (isTyped)
    session.terminal.err(
      'warning: a token on the command line can be seen by every user of this machine and stays in the shell history; use --token-file FILE or --token -\n',
    )
  const text = isTyped
    ? token
    : tokenFile === undefined || tokenFile === '-'
      ? await session.terminal.readInput()
      : readInputFile(tokenFile)
  const trimmed = text.trim()
  // What cannot be a header value cannot be a token; the text itself must not be shown.
  if (/^[\x21-\x7e]{1,4096}$/.test(trimmed)) return trimmed
  throw new OperationalError('usage', 'could not read the token', {
    cause: new Error(trimmed === '' ? 'it is empty' : 'it is not one word of plain text'),
  })
}

async function readCa(session: Session, url: string, options: LoginOptions): Promise<string[]> {
  const { caPin, caFile } = options
  if (caPin !== undefined && caFile === undefined)
    return [await fetchPinnedRoot(url, caPin, session.clock.now())]
  if (caFile !== undefined && caPin === undefined) {
    const certificates = splitPemCertificates(readInputFile(caFile))
    if (certificates.length > 0) return [...certificates]
    throw new OperationalError('file-unreadable', `could not read a certificate from ${caFile}`)
  }
  throw new OperationalError('usage', 'could not log in', {
    cause: new Error('exactly one of --ca-pin and --ca-file is needed to know the controller'),
    hint: '`tlsfleet init` prints the pin on the controller',
  })
}

function readInputFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new OperationalError('file-unreadable', `could not read ${path}`, { cause })
  }
}
