// `tlsfleet elastic users`: the roles and users of Metricbeat, made at Elasticsearch and Kibana
// themselves; the controller has no part in it.

import { randomBytes } from 'node:crypto'
import { rootCertificates, getCACertificates } from 'node:tls'
import { OperationalError } from '../../../shared/errors.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import {
  ACCOUNT_NAMES,
  type AccountName,
  isAccountName,
  metricbeatAccounts,
} from '../../elastic/accounts.ts'
import { carryOut, checkPlaces } from '../../elastic/carry-out.ts'
import { type Connection, connect } from '../../elastic/connection.ts'
import { type Cluster, openCluster } from '../../elastic/elasticsearch.ts'
import type { Product } from '../../elastic/errors.ts'
import { openKibana } from '../../elastic/kibana.ts'
import { type Connections, observeAccount } from '../../elastic/observe.ts'
import {
  type PasswordFile,
  type Passwords,
  openPasswords,
  readSecretFile,
} from '../../elastic/passwords.ts'
import { type Entry, type ObservedAccount, planAccounts } from '../../elastic/plan.ts'
import { type CredentialOptions, readAuthorization } from '../elastic-credentials.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, printable } from '../output.ts'
import { confirm } from '../session.ts'
import {
  type AccountsView,
  accountsText,
  doneLine,
  entryView,
  isEmptyPlan,
  keystoreText,
} from '../views/elastic.ts'

export interface UsersOptions extends CredentialOptions {
  readonly elasticsearch: string
  readonly kibana?: string
  readonly caFile?: readonly string[]
  readonly allowPlaintext?: boolean
  readonly passwordsDir?: string
  readonly passwordFileFor?: readonly string[]
  readonly only?: readonly string[]
  readonly rotate?: readonly string[]
  readonly plan?: boolean
  readonly yes?: boolean
}

export async function users(session: Session, options: UsersOptions): Promise<ExitCode> {
  const names = options.only === undefined ? ACCOUNT_NAMES : options.only.map(accountName)
  const rotate = new Set((options.rotate ?? []).map(accountName))
  const passwords = readPasswords(options, names, rotate)
  const connections = await connectAll(session, options)
  try {
    const { cluster, entries } = await look(connections, names, { passwords, rotate })
    const view: AccountsView = {
      cluster: {
        name: cluster.name,
        version: cluster.version.text,
        url: connections.elasticsearch.url,
      },
      entries: entries.map(entryView),
    }
    if (options.plan === true || isEmptyPlan(view)) {
      const { json, terminal, paint } = session
      terminal.out(json ? session.document(view) : accountsText(printable(view), paint))
      return isEmptyPlan(view) ? EXIT.ok : EXIT.changes
    }
    checkPlaces(entries, passwords)
    return await apply(session, options, { view, entries, connections, passwords })
  } finally {
    connections.elasticsearch.close()
    connections.kibana?.close()
  }
}

async function look(
  connections: Connections,
  names: readonly AccountName[],
  { passwords, rotate }: { readonly passwords: Passwords; readonly rotate: ReadonlySet<string> },
): Promise<{ readonly cluster: Cluster; readonly entries: readonly Entry[] }> {
  const { elasticsearch, kibana } = connections
  const cluster = await openCluster(elasticsearch)
  const kibanaVersion = kibana === undefined ? undefined : await openKibana(kibana)
  const accounts = metricbeatAccounts({ elasticsearch: cluster.version, kibana: kibanaVersion })
  const wanted = accounts.filter(({ name }) => names.includes(name))
  const observed = new Map<AccountName, ObservedAccount>()
  for (const account of wanted)
    observed.set(account.name, await observeAccount(connections, account, passwords))
  const absent: ObservedAccount = { role: undefined, user: undefined, password: 'none' }
  const entries = planAccounts(wanted, name => observed.get(name) ?? absent, rotate)
  return { cluster, entries }
}

async function apply(
  session: Session,
  options: UsersOptions,
  work: {
    readonly view: AccountsView
    readonly entries: readonly Entry[]
    readonly connections: Connections
    readonly passwords: Passwords
  },
): Promise<ExitCode> {
  const { terminal, json, paint } = session
  const { view, entries, connections, passwords } = work
  if (!json) terminal.out(accountsText(printable(view), paint))
  const isSure = await confirm(session, {
    attempt: 'write roles and users',
    text: 'Make these changes?',
    isGiven: options.yes === true,
  })
  if (!isSure) {
    terminal.err('nothing was changed\n')
    return EXIT.error
  }
  const files = new Map<AccountName, PasswordFile>()
  const changes = entries.filter(({ write }) => write !== undefined)
  for (const [index, entry] of changes.entries()) {
    const file = await carryOut(connections, entry, passwords).catch((error: unknown) => {
      throw interruptedBy(error, { done: index, changes: changes.length })
    })
    if (file !== undefined) files.set(entry.name, file)
    if (!json) terminal.out(doneLine(entry, file?.path))
  }
  if (json) terminal.out(session.document({ ...view, passwordFiles: pathsOf(files) }))
  else terminal.out(keystoreText(files.get('metricbeat_writer')))
  return EXIT.ok
}

/** What was done stays done, so the error says how to go on. */
function interruptedBy(
  error: unknown,
  { done, changes }: { readonly done: number; readonly changes: number },
): unknown {
  if (!(error instanceof OperationalError)) return error
  const { code, message, hint, retryable, details, cause } = error
  const progress = `${done} of ${changes} changes are made; the same command makes the rest`
  return new OperationalError(code, message, {
    retryable,
    details,
    cause,
    hint: hint === undefined ? progress : `${hint}; ${progress}`,
  })
}

function pathsOf(files: ReadonlyMap<AccountName, PasswordFile>): Readonly<Record<string, string>> {
  return Object.fromEntries([...files].map(([name, { path }]) => [name, path]))
}

function accountName(text: string): AccountName {
  if (isAccountName(text)) return text
  throw new OperationalError('usage', `there is no account ${text} of Metricbeat`, {
    hint: `accounts: ${ACCOUNT_NAMES.join(', ')}`,
  })
}

function readPasswords(
  options: UsersOptions,
  names: readonly AccountName[],
  rotate: ReadonlySet<AccountName>,
): Passwords {
  const files = new Map((options.passwordFileFor ?? []).map(parseNamedFile))
  for (const name of rotate) {
    if (files.has(name))
      throw new OperationalError('usage', `could not make a new password for ${name}`, {
        cause: new Error('its password is given with --password-file-for'),
        hint: 'put the new password into that file, and leave --rotate out',
      })
    if (!names.includes(name))
      throw new OperationalError('usage', `could not make a new password for ${name}`, {
        cause: new Error('--only leaves it out'),
      })
  }
  return openPasswords({ directory: options.passwordsDir, files }, names, randomBytes)
}

function parseNamedFile(text: string): readonly [AccountName, string] {
  const at = text.indexOf('=')
  if (at > 0 && at < text.length - 1) return [accountName(text.slice(0, at)), text.slice(at + 1)]
  throw new OperationalError('usage', `could not read --password-file-for ${text}`, {
    hint: 'it is NAME=FILE, for example metricbeat_writer=/root/writer.password',
  })
}

async function connectAll(session: Session, options: UsersOptions): Promise<Connections> {
  const elasticsearch = parseUrl('Elasticsearch', options.elasticsearch, options)
  const kibana =
    options.kibana === undefined ? undefined : parseUrl('Kibana', options.kibana, options)
  const ca = readCa(options.caFile)
  const authorization = await readAuthorization(session, options)
  const open = (product: Product, url: string): Connection =>
    connect({ product, url, ca, authorization }, session.signal)
  return {
    elasticsearch: open('Elasticsearch', elasticsearch),
    kibana: kibana === undefined ? undefined : open('Kibana', kibana),
  }
}

function parseUrl(product: Product, text: string, { allowPlaintext }: UsersOptions): string {
  const url = URL.parse(text)
  // The text is not shown where it may hold a password.
  if (url !== null && `${url.username}${url.password}` !== '')
    throw new OperationalError('usage', `could not use the URL of ${product}`, {
      cause: new Error('it holds credentials, which every user of this machine could see'),
      hint: 'give --user and --password-file',
    })
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new OperationalError('usage', `could not read the URL ${text}`, {
      hint: `give the URL of ${product}, for example https://es-1.example.org:9200`,
    })
  if (url.protocol === 'http:' && allowPlaintext !== true && !LOOPBACK.test(url.hostname))
    throw new OperationalError('plaintext-refused', `could not use ${product} at ${url.origin}`, {
      cause: new Error('passwords would cross the network in clear'),
      hint: 'switch TLS on first and write https://, or run this on the host itself with http://localhost; --allow-plaintext does it nevertheless',
    })
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/

/** Files that are given are trusted alone; otherwise what Node and this machine trust. */
function readCa(files: readonly string[] | undefined): readonly string[] {
  if (files === undefined) return [...rootCertificates, ...getCACertificates('system')]
  return files.flatMap(file => {
    const certificates = splitPemCertificates(readSecretFile(file))
    if (certificates.length > 0) return certificates
    throw new OperationalError('file-unreadable', `could not read a certificate from ${file}`)
  })
}
