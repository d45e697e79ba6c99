// metricbeat keystore create, add, list, remove. Where the real one asks, this one takes it for no.

import { existsSync } from 'node:fs'
import type { Beat } from './load.ts'
import { writeKeystore } from './keystore.ts'
import { BeatError } from './ucfg.ts'

export async function manageKeystore(
  beat: Beat,
  [verb = '', ...keys]: readonly string[],
): Promise<void> {
  const { keystorePath: path, secrets, flags } = beat
  switch (verb) {
    case 'create':
      if (existsSync(path) && !flags.force) return print('Exiting without creating keystore.')
      writeKeystore(path, {})
      return print('Created metricbeat keystore')
    case 'add':
      return await add(beat, keys)
    case 'list':
      for (const key of Object.keys(secrets)) print(key)
      return
    case 'remove': {
      if (keys.length === 0) throw new BeatError('you must supply at least one key to remove')
      if (!existsSync(path)) {
        throw new BeatError("the keystore doesn't exist. Use the 'create' command to create one")
      }
      let left = secrets
      for (const key of keys) {
        if (!Object.hasOwn(left, key))
          throw new BeatError(`could not find key '${key}' in the keystore`)
        const { [key]: _, ...rest } = left
        left = rest
        writeKeystore(path, left)
        print(`successfully removed key: ${key}`)
      }
      return
    }
    default:
      throw new BeatError(`unknown command "${verb}" for "metricbeat keystore"`)
  }
}

async function add(
  { keystorePath: path, secrets, flags }: Beat,
  keys: readonly string[],
): Promise<void> {
  const [key, ...more] = keys
  if (key === undefined) throw new BeatError('failed to create the secret: no key provided')
  if (more.length > 0) {
    const why = 'you can only provide one key per invocation'
    throw new BeatError(`could not create secret for: [${keys.join(' ')}], ${why}`)
  }
  if (!existsSync(path)) {
    if (!flags.force) throw new BeatError('exiting without creating keystore')
    print('Created keystore')
  }
  if (Object.hasOwn(secrets, key) && !flags.force) {
    if (!flags.stdin) return print('Exiting without modifying keystore.')
    const how = 'use `--force` to replace it'
    throw new BeatError(`the settings ${key} already exist in the keystore ${how}`)
  }
  // To the last byte: a line end is part of the secret.
  let value = ''
  if (flags.stdin) {
    for await (const chunk of process.stdin.setEncoding('utf8')) value += String(chunk)
  }
  writeKeystore(path, { ...secrets, [key]: value })
  print('Successfully updated the keystore')
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
