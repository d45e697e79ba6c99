// `metricbeat.keystore` and those of the other Beats: `v1`, then base64 of salt, IV and JSON under
// AES-256-GCM. Beats always use an empty password. The layout is from their source; unlike the other
// two stores it was not compared with a file that a Beat wrote.

import {
  GCM_TAG_BYTES,
  type KeystoreReading,
  damaged,
  decodeBase64,
  jsonMembers,
  openedKeystore,
  readKeystore,
  unsealEither,
  versionUnknown,
} from './keystore.ts'

const ITERATIONS = 10_000
const SALT_BYTES = 64
const IV_BYTES = 12
const HEADER_BYTES = SALT_BYTES + IV_BYTES

/** Never throws for a bad file. Callers remember the answer by the file's version. */
export function readBeatsKeystore(bytes: Uint8Array): Promise<KeystoreReading> {
  return readKeystore(bytes, async buffer => {
    // Two characters are the version, whatever follows: base64 may begin with a digit.
    const [, version, body] = /^v(\d)(\S*)\s*$/.exec(buffer.toString('latin1')) ?? []
    if (version === undefined || body === undefined) throw damaged('is not of the form v1base64')
    if (version !== '1') throw versionUnknown(`has the format v${version}`)
    const data = decodeBase64(body)
    if (data.length < HEADER_BYTES + GCM_TAG_BYTES) throw damaged('is truncated')
    const { plain, hasPassword } = await unsealEither(
      {
        cipher: 'aes-256-gcm',
        iterations: ITERATIONS,
        salt: data.subarray(0, SALT_BYTES),
        iv: data.subarray(SALT_BYTES, HEADER_BYTES),
        text: data.subarray(HEADER_BYTES, -GCM_TAG_BYTES),
        tag: data.subarray(-GCM_TAG_BYTES),
      },
      undefined,
    )
    const values = jsonMembers(plain).map(([name, entry]) => [name, valueOf(entry)] as const)
    return openedKeystore({ version: 1, hasPassword }, values)
  })
}

// Go writes bytes as base64 and none at all as null.
function valueOf(entry: unknown): string {
  if (typeof entry === 'object' && entry !== null && 'value' in entry) {
    if (entry.value === null || entry.value === '') return ''
    if (typeof entry.value === 'string') return decodeBase64(entry.value).toString('utf8')
  }
  throw damaged('holds an entry without a value')
}
