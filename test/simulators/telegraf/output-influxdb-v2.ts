// outputs.influxdb_v2: what it makes of each answer of a server, by version. A 400 is for it the end of
// what it wrote, also the 400 of a TLS port that was spoken to in plain HTTP.

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

/** From here on any other 4xx drops as well. */
const DROPS_ALL_SINCE = '1.18.0'
/** From here on a failure at one URL is not tried at the next before the next flush. */
const ONE_URL_SINCE = '1.33.0'

export function createInfluxdbV2Output(given: OutputOptions): Output {
  const { options, version, log, random } = given
  const http = createHttpOutput(given, 'gzip')
  const bucket = textOption(options, 'bucket')
  const organization = textOption(options, 'organization')
  const token = textOption(options, 'token')
  const say: typeof log = (level, message) => log(level, `[outputs.influxdb_v2] ${message}`)

  const writeTo = async (url: string, body: string): Promise<WriteResult> => {
    const target = apiUrl(url, 'api/v2/write', { bucket, org: organization })
    try {
      return judge(await http.post(target, body, { Authorization: `Token ${token}` }))
    } catch (error) {
      return { kind: 'kept', error: `Post ${JSON.stringify(target)}: ${messageOf(error)}` }
    }
  }

  function judge({ status, statusText, body }: GoAnswer): WriteResult {
    if ([200, 201, 202, 204, 206, 207, 208].includes(status)) return { kind: 'written' }
    const drop = (): WriteResult => {
      say(
        'E',
        `failed to write metrics to ${bucket} (will be dropped: ${statusText}): ${body.trim()}`,
      )
      return { kind: 'dropped' }
    }
    if ([400, 406, 422].includes(status)) return drop()
    if (status === 413) {
      // The real one splits from 1.20 on; batches of the simulator are never that large.
      return { kind: 'kept', error: statusText }
    }
    const keep = [401, 403, 429, 502, 503, 504].includes(status)
    if (!keep && statusText.startsWith('4') && isAtLeast(version, DROPS_ALL_SINCE)) return drop()
    return { kind: 'kept', error: `failed to write metrics to ${bucket} (${statusText})` }
  }

  return {
    plugin: 'influxdb_v2',
    urls: http.urls,
    connect: () => Promise.resolve(http.prepare()),
    write: async lines => {
      for (const url of shuffled(http.urls, random)) {
        const result = await writeTo(url, `${lines.join('\n')}\n`)
        if (result.kind !== 'kept') return result
        say('E', `When writing to [${url}]: ${result.error}`)
        if (isAtLeast(version, ONE_URL_SINCE)) return result
      }
      return { kind: 'kept', error: 'failed to send metrics to any configured server(s)' }
    },
    close: () => http.close(),
  }
}
