// The files that `[[webhooks]]` names, read once at the start: a wrong path is said then, not in the
// night when somebody should have been told.

import { readFileSync } from 'node:fs'
import { OperationalError } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import type { Webhook } from './notifier.ts'
import type { WebhookSettings } from './settings.ts'

const SECRET_LENGTH_MIN = 16

/** Throws `webhook-unusable`. */
export function readReceivers(settings: readonly WebhookSettings[]): readonly Webhook[] {
  return settings.map(({ name, url, secretFile, caFile, events }) => {
    const secret = new Secret(readText(name, secretFile).trim())
    if (secret.reveal().length < SECRET_LENGTH_MIN)
      throw new OperationalError(
        'webhook-unusable',
        `could not use webhook ${name}: ${secretFile} has fewer than ${SECRET_LENGTH_MIN} characters`,
        { hint: `openssl rand -hex 32 > ${secretFile}` },
      )
    return { name, url, secret, ca: caFile && readText(name, caFile), events }
  })
}

function readText(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const message = `could not use webhook ${name}: ${path} could not be read`
    throw new OperationalError('webhook-unusable', message, { cause })
  }
}
