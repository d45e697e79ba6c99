// A web configuration with TLS: the flags that name it, its keys, what must be loaded.

import type { Reason } from '../../../shared/contract/schema.ts'
import { primaryName } from '../addresses.ts'
import { refusal, type Refusal } from '../reasons.ts'
import type { FileIntent } from '../service.ts'
import type { Version } from '../version.ts'
import { flagInDropIn } from './command-line.ts'
import type { Unclear } from './exec-start.ts'
import { externalUrl } from './external-url.ts'
import { flagFiles, type FlagFiles, type WantedFlag } from './flag-files.ts'
import { EXTERNAL_URL_FLAG, type Flags } from './flags.ts'
import { loadsOn } from './loads.ts'
import { listenersFor, materialFor, urlNotice, type Web, type WebQuestion } from './parts.ts'
import { placeOf, type Place } from './place.ts'
import { webFileOn } from './web-file.ts'

export function switchedOn(question: WebQuestion, version: Version, flags: Flags): Web | Refusal {
  const { product, tls, seen, context } = question
  const serverName = primaryName(tls.certificate.names)
  if (serverName === undefined)
    return refusal('names-missing', 'the certificate is to have no name')
  const place = placeOf(product, flags, seen, context)
  if (place.kind === 'refusal') return place
  const web = webFileOn(product, version, place.path, tls, seen, context)
  if (web.kind === 'refusal') return web
  const written = writtenFlags(question, flags, place)
  if (written.kind === 'refusal') return written
  const { url } = written
  return {
    kind: 'web',
    version,
    flags,
    path: place.path,
    material: materialFor(product, tls),
    flagFiles: written.files,
    webFile: web.intent,
    loads: loadsOn(product, {
      flag: `${flags.configFlag}=${context.servicePath(place.path)}`,
      isFlagDone: written.isPlaceDone,
      options: web.options,
      externalUrl: written.isUrlOurs ? url : undefined,
    }),
    listeners: listenersFor(question, flags, url, serverName, web),
    notices: [...place.notices, ...web.notices, ...written.notices],
  }
}

interface Written {
  readonly kind: 'written'
  readonly files: readonly FileIntent[]
  /** The process finds its web configuration at its next start. */
  readonly isPlaceDone: boolean
  /** As it will be; undefined: not set. */
  readonly url: string | undefined
  readonly isUrlOurs: boolean
  readonly notices: readonly Reason[]
}

// The address is worth less than TLS: where only that cannot be written, it is left.
function writtenFlags(question: WebQuestion, flags: Flags, place: Place): Written | Refusal {
  const { seen, context } = question
  const write = (wanted: readonly WantedFlag[]) =>
    flagFiles(wanted, flags.line.room, seen, context, place.reason)
  const placed = write(place.flags)
  if (placed.kind === 'unclear') return notEditable(question, place, placed)
  const current = flags.externalUrl?.value
  const wanted = question.externalUrl === 'manage' ? externalUrl(question.tls, flags) : undefined
  const left = { kind: 'written', files: placed.files, isPlaceDone: placed.isDone } as const
  if (wanted === undefined) return { ...left, url: current, isUrlOurs: false, notices: [] }
  const flag = { name: EXTERNAL_URL_FLAG, value: wanted, current: flags.externalUrl }
  const both = write([...place.flags, flag])
  if (both.kind === 'unclear')
    return { ...left, url: current, isUrlOurs: false, notices: [urlNotice(wanted, both)] }
  return {
    ...left,
    files: both.files,
    // The drop-in has both or none.
    isPlaceDone: placed.isDone || isPlaceIn(both, question, flags, place),
    url: wanted,
    // One that stands right in the unit itself is its operator's.
    isUrlOurs: !(current === wanted && flags.externalUrl?.variable === undefined),
    notices: [],
  }
}

function isPlaceIn(
  both: FlagFiles,
  { seen, context }: WebQuestion,
  flags: Flags,
  place: Place,
): boolean {
  return both.isDone || flagInDropIn(seen, flags.configFlag) === context.servicePath(place.path)
}

function notEditable({ seen, context }: WebQuestion, place: Place, { why }: Unclear): Refusal {
  const [flag] = place.flags
  const words = `${flag?.name}=${context.servicePath(place.path)}`
  return refusal(
    'flags-not-editable',
    `${seen.unit.unit} takes no arguments from an environment file, and gets no drop-in: ${why}; put ${words} into its ExecStart`,
  )
}
