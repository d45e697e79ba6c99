// `[[webhooks]]` of controller.toml: who is told what.
//
//   [[webhooks]]
//   name = "oncall"
//   url = "https://hooks.example.org/tlsfleet"
//   secretFile = "/etc/tlsfleet/webhook-oncall"      # signs what is sent; at least 16 characters
//   caFile = "/etc/tlsfleet/corp-root.pem"           # of the receiver's TLS; absent: the public CAs that Node brings
//   events = ["expiry", "rollout", "drift", "rotation"]   # all of them when absent

import { isAbsolute } from 'node:path'
import * as z from 'zod/mini'
import { Name } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'
import { NOTIFICATION_EVENTS, type NotificationEvent } from '../store/notifications-store.ts'

export interface WebhookSettings {
  readonly name: string
  readonly url: string
  readonly secretFile: string
  /** PEM; undefined: public CAs. */
  readonly caFile: string | undefined
  readonly events: readonly NotificationEvent[]
}

const Text = z.string().check(z.minLength(1), z.maxLength(1024))

export const WebhookTables = z
  .array(
    z.strictObject({
      name: Name,
      url: Text,
      secretFile: Text,
      caFile: z.optional(Text),
      events: z.optional(z.array(z.enum(NOTIFICATION_EVENTS)).check(z.minLength(1))),
    }),
  )
  .check(z.maxLength(16))
export type WebhookTables = z.infer<typeof WebhookTables>

/** Throws `config-invalid`. */
export function webhookSettings(tables: WebhookTables): readonly WebhookSettings[] {
  const names = tables.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw invalid(`webhooks: the name ${twice} is given twice`)
  return tables.map(({ name, url, secretFile, caFile, events }) => {
    const at = `webhooks.${name}`
    requireAbsolute(`${at}.secretFile`, secretFile)
    if (caFile !== undefined) requireAbsolute(`${at}.caFile`, caFile)
    return {
      name,
      url: httpsUrl(`${at}.url`, url),
      secretFile,
      caFile,
      events: events ?? NOTIFICATION_EVENTS,
    }
  })
}

// A password in an URL ends in logs.
function httpsUrl(key: string, text: string): string {
  const url = URL.parse(text)
  if (url?.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === '')
    return url.href
  throw invalid(`${key} is not an https URL without user, password and fragment`)
}

function requireAbsolute(key: string, path: string): void {
  if (!isAbsolute(path)) throw invalid(`${key} is ${path}, not an absolute path`)
}

function invalid(message: string): OperationalError {
  return new OperationalError('config-invalid', message)
}
