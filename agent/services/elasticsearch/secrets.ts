// elasticsearch.keystore: the password of the PKCS#12 file goes in, what contradicts it goes out.
// The node reads it only when it starts, and does not start with a secret that it cannot use.

import { unreachable } from '../../../shared/assert.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import type { DriverContext, KeystoreEntry, KeystoreIntent, Seen } from '../service.ts'
import { HTTP_SSL } from './http-ssl.ts'
import type { ElasticsearchPlace } from './place.ts'
import type { Layout } from './ssl-leaves.ts'
import { TRANSPORT_SSL, type TransportSsl } from './transport-ssl.ts'

export const STORE_PASSWORD = `${HTTP_SSL}.keystore.secure_password`

// A key has the password of its store; one in PEM has none. Other entries do no harm beside
// `enabled`, and lead back to where the node came from.
function entriesOf(prefix: string, layout: Layout): readonly KeystoreEntry[] {
  return layout === 'pkcs12'
    ? [
        { kind: 'store-password', name: `${prefix}.keystore.secure_password` },
        { kind: 'absent', name: `${prefix}.keystore.secure_key_password` },
      ]
    : [{ kind: 'absent', name: `${prefix}.secure_key_passphrase` }]
}

interface Secrets {
  readonly layout: Layout
  readonly isHttpOn: boolean
  readonly transport: TransportSsl
}

/** Both layers name the same file, so it is one password. Empty: no entry is ours. */
export function keystoreEntries(secrets: Secrets): readonly KeystoreEntry[] {
  const { layout, isHttpOn, transport } = secrets
  const http = isHttpOn ? entriesOf(HTTP_SSL, layout) : []
  switch (transport.state) {
    case 'on':
      return [...http, ...entriesOf(TRANSPORT_SSL, layout)]
    case 'off':
      return [...http, { kind: 'absent', name: `${TRANSPORT_SSL}.keystore.secure_password` }]
    case 'left':
    case 'kept':
      return http
    default:
      return unreachable(transport.state)
  }
}

export function keystoreIntent(
  place: ElasticsearchPlace,
  entries: readonly KeystoreEntry[],
  context: DriverContext,
): KeystoreIntent {
  const { keystore, tool, passphraseFile, configDirectory } = place
  return {
    path: keystore,
    format: 'elasticsearch',
    tool,
    environment: { ES_PATH_CONF: context.servicePath(configDirectory) },
    ...(passphraseFile === undefined ? {} : { passphraseFile }),
    entries,
    reason: because('store-password', `${keystore} holds the password of http.p12`),
  }
}

/** Is there a secret of the HTTP layer? One that cannot be looked into may have some. */
export function hasSecrets({ keystore }: ElasticsearchPlace, seen: Seen): boolean {
  const found = seen.keystore(keystore)
  if (found?.kind !== 'opened') return false
  return [...found.entries.keys()].some(name => name.startsWith(`${HTTP_SSL}.`))
}

const PASSWORD_CODES: readonly string[] = ['keystore-password-needed', 'keystore-wrong-password']

/**
 * A node whose keystore has a password starts only while somebody tells it: a restart without
 * that would end it, and putting the old state back would not start it either.
 */
export function unusableKeystore(
  { keystore, passphraseFile }: ElasticsearchPlace,
  seen: Seen,
): Refusal | undefined {
  const found = seen.keystore(keystore)
  if (found?.kind !== 'unreadable') return undefined
  const { reason } = found
  if (!PASSWORD_CODES.includes(reason.code)) return { kind: 'refusal', reason }
  const why =
    passphraseFile === undefined
      ? 'set ES_KEYSTORE_PASSPHRASE_FILE in the environment file of the unit to a file with its password'
      : `the file of ES_KEYSTORE_PASSPHRASE_FILE, ${passphraseFile}, does not hold its password`
  return refusal('keystore-protected', `${keystore} has a password, and so every restart: ${why}`)
}
