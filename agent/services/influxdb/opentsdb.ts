// `[[opentsdb]]`: listeners with TLS of their own, which take key and certificate from one file.

import type { Reason } from '../../../shared/contract/schema.ts'
import type { ServiceTlsOf } from '../../../shared/contract/service.ts'
import { isList, isTable, type ConfigEdit, type ConfigValue } from '../../formats/edit.ts'
import { lookup } from '../../formats/lookup.ts'
import { because } from '../reasons.ts'
import { isOn, type Settings } from './settings.ts'

export interface OpenTsdb {
  readonly edits: readonly ConfigEdit[]
  /** Undefined: there is no such listener that is managed. */
  readonly text: string | undefined
  readonly isServing: boolean
  readonly notices: readonly Reason[]
}

const TABLE = 'opentsdb'

export function openTsdb(
  tls: ServiceTlsOf<'influxdb'>,
  settings: Settings,
  /** As influxd sees it. */
  bundle: string,
): OpenTsdb {
  const wanted = tls.tls === 'off' && tls.options.opentsdb === 'tls' ? 'off' : tls.options.opentsdb
  const blocks = blocksIn(settings)
  if (blocks.length === 0 || wanted === 'leave')
    return { edits: [], text: undefined, isServing: false, notices: noticesFor(settings, blocks) }
  const edits = blocks.flatMap(({ path, value }): readonly ConfigEdit[] => {
    if (wanted === 'off')
      return keyIn(value, 'tls-enabled') === undefined
        ? []
        : [{ path: [...path, 'tls-enabled'], value: false }]
    return [
      { path: [...path, 'tls-enabled'], value: true },
      { path: [...path, 'certificate'], value: bundle },
    ]
  })
  return { edits, text: `opentsdb ${wanted}`, isServing: wanted === 'tls', notices: [] }
}

interface Block {
  readonly path: readonly (string | number)[]
  readonly value: ConfigValue
}

// Off by default, and then it does not matter what it would have.
function blocksIn(settings: Settings): readonly Block[] {
  const all = lookup(settings.document, [TABLE], { keys: 'case-insensitive' }).flatMap(
    ({ path, value }): readonly Block[] => {
      if (isList(value))
        return value.map((item, index) => ({ path: [...path, index], value: item }))
      return isTable(value) ? [{ path, value }] : []
    },
  )
  return all.filter(({ value }) => isOn(keyIn(value, 'enabled')))
}

function keyIn(value: ConfigValue, key: string): ConfigValue | undefined {
  return lookup(value, [key], { keys: 'case-insensitive' })[0]?.value
}

function noticesFor(settings: Settings, blocks: readonly Block[]): readonly Reason[] {
  const hasTls = blocks.some(({ value }) => isOn(keyIn(value, 'tls-enabled')))
  if (!hasTls) return []
  const message = `[[opentsdb]] of ${settings.path} has TLS of its own, which is left alone: option opentsdb manages it`
  return [because('listener-not-managed', message)]
}
