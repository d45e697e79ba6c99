// A web configuration without TLS: what TLS needed is taken back, and a node that never had it is left
// as it is.

import type { Reason } from '../../../shared/contract/schema.ts'
import { primaryName } from '../addresses.ts'
import { logicalPath } from '../paths.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import type { FileIntent } from '../service.ts'
import type { Version } from '../version.ts'
import { flagInDropIn } from './command-line.ts'
import { externalUrl } from './external-url.ts'
import { flagFiles } from './flag-files.ts'
import { EXTERNAL_URL_FLAG, type Flags } from './flags.ts'
import { loadsOff } from './loads.ts'
import { listenersFor, materialFor, urlNotice, type Web, type WebQuestion } from './parts.ts'
import { wantedFlags } from './place.ts'
import { webFileOff } from './web-file.ts'

export function switchedOff(question: WebQuestion, version: Version, flags: Flags): Web | Refusal {
  const { product, tls, seen, context } = question
  const value =
    flagInDropIn(seen, flags.configFlag) ?? (flags.webConfig ?? flags.misnamed)?.value ?? ''
  const path = value === '' ? undefined : logicalPath(value, context)
  if (path !== undefined && !path.startsWith('/'))
    return refusal('path-not-allowed', `${path} is relative to a directory that is not known`)
  const web =
    path === undefined
      ? ({ kind: 'web-file', intent: undefined, hasPasswords: false, isObsolete: false } as const)
      : webFileOff(path, seen, { mayGo: path === product.webConfig && !isInUnit(flags) })
  if (web.kind === 'refusal') return web
  const written = plainFlags(question, flags, value, web.isObsolete)
  if (written.kind === 'refusal') return written
  const serverName = primaryName(tls.certificate.names)
  return {
    kind: 'web',
    version,
    flags,
    path,
    material: { ...materialFor(product, tls), isWanted: false, clientUse: false },
    flagFiles: written.files,
    webFile: web.intent,
    loads: loadsOff(product),
    listeners: listenersFor(question, flags, written.url, serverName, web),
    notices: written.notices,
  }
}

interface PlainFlags {
  readonly kind: 'written'
  readonly files: readonly FileIntent[]
  /** As it will be; undefined: not set. */
  readonly url: string | undefined
  readonly notices: readonly Reason[]
}

// What the unit itself says cannot be taken back, so the file that it names must stay.
function isInUnit({ webConfig, misnamed }: Flags): boolean {
  return [webConfig, misnamed].some(flag => flag !== undefined && flag.variable === undefined)
}

// A flag for a file that says nothing more goes with it.
function plainFlags(
  question: WebQuestion,
  flags: Flags,
  value: string,
  isObsolete: boolean,
): PlainFlags | Refusal {
  const { seen, context } = question
  const inDropIn = flagInDropIn(seen, flags.configFlag) !== undefined
  const current = flags.externalUrl?.value
  const url = question.externalUrl === 'manage' ? externalUrl(question.tls, flags) : undefined
  const isUrlFixed = flags.externalUrl?.variable === undefined
  const wanted = [
    ...(isObsolete ? wantedFlags(flags, undefined) : inDropIn ? wantedFlags(flags, value) : []),
    ...(url === undefined || isUrlFixed
      ? []
      : [{ name: EXTERNAL_URL_FLAG, value: url, current: flags.externalUrl }]),
    // What is right already stays unnamed: a node that never had TLS is not looked at any closer.
  ].filter(flag => flag.current === undefined || flag.current.value !== flag.value)
  const reason = because('flags-obsolete', 'without TLS these flags say nothing, or not the truth')
  const files = flagFiles(wanted, undefined, seen, context, reason)
  if (files.kind === 'unclear')
    return refusal('flags-not-editable', `${seen.unit.unit}: ${files.why}`)
  const isLeft = url !== undefined && url !== current && isUrlFixed
  const notices = isLeft ? [urlNotice(url, { kind: 'unclear', why: 'it is fixed there' })] : []
  return { kind: 'written', files: files.files, url: isLeft ? current : (url ?? current), notices }
}
