// outputs.influxdb: what it makes of each answer of a server, by version.

import * as z from 'zod/mini'
import type { GoAnswer } from '../go/dial.ts'
import { isAtLeast } from '../version.ts'
import {
  apiUrl,
  createHttpOutput,
  messageOf,
  type Output,
  type OutputOptions,
  shuffled,
  type WriteResult,
} from './output.ts'
import { textOption } from './plugins.ts'

/** From here on an answer that is not JSON is an error by itself. */
const VALIDATES_SINCE = '1.18.0'
/** From here on any other 4xx is the client's fault, and what it wrote is given up. */
const DROPS_SINCE = '1.19.0'
const GZIP_SINCE = '1.17.0'

type Judgement = WriteResult | { readonly kind: 'no-database'; readonly error: string }

export function createInfluxdbOutput(given: OutputOptions): Output {
  const { options, version, log, random } = given
  const http = createHttpOutput(given, isAtLeast(version, GZIP_SINCE) ? 'gzip' : 'identity')
  const database = textOption(options, 'database') || 'telegraf'
  const creates = options['skip_database_creation'] !== true
  const say: typeof log = (level, message) => log(level, `[outputs.influxdb] ${message}`)

  const createDatabase = async (url: string): Promise<void> => {
    const body = new URLSearchParams({ q: `CREATE DATABASE "${database}"` }).toString()
    const target = apiUrl(url, 'query', {})
    const headers = {
      'Content-Type': 'application/x-www-form-urlencoded',
      ...credentials(options),
    }
    const answer = await http
      .dialer()
      .request({ url: target, method: 'POST', body, headers, timeoutMs: 5_000 })
      .catch((error: unknown) => {
        throw new Error(`Post ${JSON.stringify(target)}: ${messageOf(error)}`)
      })
    const error = errorIn(answer)
    if (answer.status === 200 && error === undefined) return
    throw new Error(`${answer.statusText}: ${error ?? answer.body.trim()}`)
  }

  const writeTo = async (url: string, body: string): Promise<Judgement> => {
    const consistency = textOption(options, 'write_consistency')
    const policy = textOption(options, 'retention_policy')
    const target = apiUrl(url, 'write', {
      db: database,
      ...(consistency === '' || consistency === 'one' ? {} : { consistency }),
      ...(policy === '' ? {} : { rp: policy }),
    })
    let answer: GoAnswer
    try {
      answer = await http.post(target, body, credentials(options))
    } catch (error) {
      const why = `Post ${JSON.stringify(target)}: ${messageOf(error)}`
      return {
        kind: 'kept',
        error: isAtLeast(version, '1.30.0') ? `failed doing req: ${why}` : why,
      }
    }
    return judge(answer)
  }

  function judge(answer: GoAnswer): Judgement {
    if (answer.status === 204) return { kind: 'written' }
    const { body, statusText } = answer
    const readable = body === '' || isJson(body)
    if (!readable && isAtLeast(version, VALIDATES_SINCE)) {
      const what = 'An error response was received while attempting to write metrics'
      return { kind: 'kept', error: `${statusText}: ${what}. Error: ${body.trim()}` }
    }
    const said = errorIn(answer) ?? ''
    const error = said === '' ? statusText : `${statusText}: ${said}`
    if (said.includes('database not found')) return { kind: 'no-database', error }
    if (statusText.startsWith('4') && isAtLeast(version, DROPS_SINCE)) {
      say('E', `Failed to write metric (will be dropped: ${statusText}): ${said}`)
      return { kind: 'dropped' }
    }
    if (said.includes('hinted handoff queue not empty')) return { kind: 'written' }
    // What no retry can mend.
    const lost = ['points beyond retention policy', 'partial write', 'unable to parse']
    if (lost.some(words => said.includes(words))) {
      say('E', `received error ${said}; discarding points`)
      return { kind: 'dropped' }
    }
    return { kind: 'kept', error }
  }

  return {
    plugin: 'influxdb',
    urls: http.urls,
    connect: async () => {
      http.prepare()
      for (const url of creates ? http.urls : []) {
        await createDatabase(url).catch((error: unknown) => {
          const why = `database ${JSON.stringify(database)} creation failed: ${messageOf(error)}`
          say('W', `When writing to [${url}]: ${why}`)
        })
      }
    },
    write: async lines => {
      let onlyMissing = true
      for (const url of shuffled(http.urls, random)) {
        const result = await writeTo(url, `${lines.join('\n')}\n`)
        if (result.kind === 'written' || result.kind === 'dropped') return result
        say('E', `When writing to [${url}]: ${result.error}`)
        if (result.kind === 'kept') {
          onlyMissing = false
          continue
        }
        if (!creates) continue
        const created = await createDatabase(url).then(
          () => true,
          () => false,
        )
        if (created) return { kind: 'kept', error: 'database created; retry write' }
        say(
          'E',
          `When writing to [${url}]: database ${JSON.stringify(database)} not found and failed to recreate`,
        )
      }
      // Without a database there is nothing to try again for.
      if (onlyMissing && isAtLeast(version, DROPS_SINCE)) return { kind: 'dropped' }
      return { kind: 'kept', error: 'could not write any address' }
    },
    close: () => http.close(),
  }
}

function credentials(options: OutputOptions['options']): Readonly<Record<string, string>> {
  const [name, password] = [textOption(options, 'username'), textOption(options, 'password')]
  if (name === '' && password === '') return {}
  return { Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` }
}

const Answer = z.object({
  error: z.optional(z.string()),
  results: z.optional(z.array(z.object({ error: z.optional(z.string()) }))),
})

/** Undefined where the body says of none. */
function errorIn({ body }: GoAnswer): string | undefined {
  if (!isJson(body)) return undefined
  const parsed = z.safeParse(Answer, JSON.parse(body))
  return parsed.success ? (parsed.data.error ?? parsed.data.results?.[0]?.error) : undefined
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
