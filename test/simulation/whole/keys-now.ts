// Keys that are made at once. node:crypto makes them on a thread of its own, and when that is done is
// nobody's to say: a run could not be repeated. To be imported before shared/pki/keys.ts is evaluated,
// which takes the function as it finds it.

import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { promisify } from 'node:util'

const generate = (_type: 'ec', options: crypto.ECKeyPairKeyObjectOptions) =>
  Promise.resolve(crypto.generateKeyPairSync('ec', options))

Object.defineProperty(crypto, 'generateKeyPair', {
  configurable: true,
  enumerable: true,
  writable: true,
  value: Object.assign(() => {}, { [promisify.custom]: generate }),
})
syncBuiltinESMExports()

/** Throws where the product's module was evaluated first: runs would differ from one another. */
export async function requireKeysNow(generateKey: () => Promise<unknown>): Promise<void> {
  let isDone = false
  void generateKey().then(() => (isDone = true))
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  if (!isDone) throw new Error('import test/simulation/whole/keys-now.ts before anything else')
}
