// The passphrase of roots that are kept offline: typed, or read from a file that somebody brings along.

import { OperationalError } from '../shared/errors.ts'
import { Secret } from '../shared/secret.ts'
import type { Terminal } from './cli/output.ts'
import { checkPassphrase, readPassphrase } from './passphrase.ts'

export type Asking = Pick<Terminal, 'canAsk' | 'askSecretly'>

/** `isNew`: it is typed twice, because nobody could open what a mistake has closed. */
export async function rootPassphrase(
  file: string | undefined,
  terminal: Asking,
  { isNew }: { readonly isNew: boolean },
): Promise<Secret> {
  if (file !== undefined) return readPassphrase(file)
  if (!terminal.canAsk)
    throw new OperationalError(
      'passphrase-missing',
      'there is no terminal to ask for the passphrase of the root keys on',
      { hint: 'Name a file that holds it: --root-passphrase-file FILE' },
    )
  const { signal } = new AbortController()
  const typed = (await terminal.askSecretly('passphrase of the root keys: ', signal)).trim()
  if (!isNew) return new Secret(typed)
  const passphrase = checkPassphrase(typed, 'that was typed')
  const again = (await terminal.askSecretly('the same once more: ', signal)).trim()
  if (again === typed) return passphrase
  throw new OperationalError('passphrase-differs', 'the passphrase was typed in two ways')
}
