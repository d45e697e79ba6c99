// `kibana.keystore`: the number of the format, a colon, base64 of salt, IV, tag and JSON under
// AES-256-GCM. Values are what `kibana-keystore add` made of them by parsing JSON, so a password of
// digits is a number there, which Kibana then refuses.

import type { Secret } from '../../../shared/secret.ts'
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

const VERSION = 1
const ITERATIONS = 10_000
const SALT_BYTES = 64
const IV_BYTES = 12
const HEADER_BYTES = SALT_BYTES + IV_BYTES + GCM_TAG_BYTES

/** Never throws for a bad file. Callers remember the answer by the file's version. */
export function readKibanaKeystore(bytes: Uint8Array, password?: Secret): Promise<KeystoreReading> {
  return readKeystore(bytes, async buffer => {
    const [, version, body] = /^(\d{1,9}):(\S*)\s*$/.exec(buffer.toString('latin1')) ?? []
    if (version === undefined || body === undefined) throw damaged('is not of the form 1:base64')
    if (Number(version) !== VERSION) throw versionUnknown(`has the format ${version}`)
    const data = decodeBase64(body)
    if (data.length < HEADER_BYTES) throw damaged('is truncated')
    const { plain, hasPassword } = await unsealEither(
      {
        cipher: 'aes-256-gcm',
        iterations: ITERATIONS,
        salt: data.subarray(0, SALT_BYTES),
        iv: data.subarray(SALT_BYTES, SALT_BYTES + IV_BYTES),
        tag: data.subarray(SALT_BYTES + IV_BYTES, HEADER_BYTES),
        text: data.subarray(HEADER_BYTES),
      },
      password,
    )
    const values = jsonMembers(plain).map(
      ([name, value]) => [name, typeof value === 'string' ? value : undefined] as const,
    )
    return openedKeystore({ version: VERSION, hasPassword }, values)
  })
}
