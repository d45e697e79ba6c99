// `tlsfleet provided`: pairs for issuer `provided`. The key is read from its file, sent, and never shown.

import type { ProvidedView } from '../../../shared/contract/provided.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { Secret } from '../../../shared/secret.ts'
import { readSecretFile } from '../../elastic/passwords.ts'
import { readCertificates } from '../certificate-files.ts'
import type { Client } from '../client.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { confirm, withClient } from '../session.ts'
import { pairsText, pairText, storedText } from '../views/provided.ts'
import { count } from '../views/words.ts'

export interface PutOptions {
  readonly chain: string
  readonly key: string
  readonly trust?: readonly string[]
  readonly yes?: boolean
}

export async function putPair(
  session: Session,
  name: string,
  options: PutOptions,
): Promise<ExitCode> {
  const chain = certificatesIn([options.chain])
  const trust = options.trust === undefined ? [] : certificatesIn(options.trust)
  const key = await readKey(session, options.key)
  return await withClient(session, async client => {
    if (!(await mayReplace(session, client, { name, leaf: chain[0], options }))) {
      session.terminal.err('nothing was uploaded\n')
      return EXIT.error
    }
    const stored = await client.putProvidedPair(name, {
      certificateChain: chain.join(''),
      privateKey: key.reveal(),
      ...(trust.length === 0 ? {} : { trust: [...trust] }),
    })
    show(session, stored, shown => storedText(shown, viewOptions(session)))
    return EXIT.ok
  })
}

function certificatesIn(paths: readonly string[]): readonly string[] {
  const { certificates } = readCertificates(paths)
  if (certificates.length === 0)
    throw new OperationalError('file-unreadable', `could not read ${paths.join(', ')}`, {
      cause: new Error('there is no certificate in it'),
    })
  return certificates.map(({ pem }) => pem)
}

async function readKey({ terminal }: Session, path: string): Promise<Secret> {
  const text = path === '-' ? await terminal.readInput() : readSecretFile(path)
  // The chain may lie in the same file: of it nothing is sent twice, and nothing else at all.
  const blocks = text.match(PRIVATE_KEYS) ?? []
  const [only, ...more] = blocks
  if (only !== undefined && more.length === 0) return new Secret(`${only}\n`)
  throw new OperationalError('file-unreadable', `could not read the key in ${path}`, {
    cause: new Error(
      only === undefined ? 'there is no private key as PEM in it' : 'there are several keys in it',
    ),
    hint: 'make one with: openssl pkey -in FILE -out KEY, or openssl pkcs12 -in FILE -nocerts -nodes -out KEY',
  })
}

const PRIVATE_KEYS = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g

async function mayReplace(
  session: Session,
  client: Client,
  given: { readonly name: string; readonly leaf: string | undefined; readonly options: PutOptions },
): Promise<boolean> {
  const { name, leaf, options } = given
  if (options.yes === true) return true
  const current = await currentPair(client, name)
  if (current === undefined || leaf === undefined || isLeafOf(current, leaf)) return true
  const users = count(new Set(current.usedBy.map(({ node }) => node)).size, 'node')
  return await confirm(session, {
    attempt: `replace pair ${name}`,
    text: `Replace pair ${name}, which ${users} may have? They get the new version with the next apply.`,
    isGiven: false,
  })
}

async function currentPair(client: Client, name: string): Promise<ProvidedView | undefined> {
  return (await client.providedPairs()).find(pair => pair.name === name)
}

function isLeafOf({ fingerprint }: ProvidedView, leaf: string): boolean {
  try {
    return certificateFacts(leaf).fingerprint === fingerprint
  } catch {
    // What is wrong with it, the controller says.
    return false
  }
}

export async function listPairs(session: Session): Promise<ExitCode> {
  const provided = await withClient(session, client => client.providedPairs())
  show(session, { provided }, shown => pairsText(shown.provided, viewOptions(session)))
  return EXIT.ok
}

export async function showPair(session: Session, name: string): Promise<ExitCode> {
  const pair = await withClient(session, client => client.providedPair(name))
  show(session, pair, shown => pairText(shown, viewOptions(session)))
  return EXIT.ok
}

export async function removePair(
  session: Session,
  name: string,
  options: { readonly yes?: boolean },
): Promise<ExitCode> {
  const isSure = await confirm(session, {
    attempt: `remove pair ${name}`,
    text: `Remove pair ${name}? Its key is gone from the controller for good.`,
    isGiven: options.yes === true,
  })
  if (!isSure) {
    session.terminal.err('nothing was removed\n')
    return EXIT.error
  }
  await withClient(session, client => client.removeProvidedPair(name))
  show(session, { removed: name }, shown => `pair ${shown.removed} removed\n`)
  return EXIT.ok
}

function viewOptions({ paint, width, clock }: Session) {
  return { paint, width, nowMs: clock.now() }
}
