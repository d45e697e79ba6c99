// The one web configuration of prometheus, alertmanager and the exporters: from TLS intent to flags,
// file, loads and listeners. A driver adds what its product has besides.

import type { Reason } from '../../../shared/contract/schema.ts'
import { refusal, type Refusal } from '../reasons.ts'
import type {
  Compilation,
  Compiled,
  DriverContext,
  FileIntent,
  Input,
  LoadIntent,
  Seen,
} from '../service.ts'
import { isAtLeast, noVersion, versionIn, type Version } from '../version.ts'
import { lineInputs, lineOf, programOf, versionInput } from './command-line.ts'
import { readFlags } from './flags.ts'
import { switchedOff } from './off.ts'
import { switchedOn } from './on.ts'
import type { Web, WebQuestion } from './parts.ts'
import { placeInputs } from './place.ts'
import { trustFileOf, type WebProduct } from './product.ts'

export function webInputs(
  product: WebProduct,
  seen: Seen,
  context: DriverContext,
): readonly Input[] {
  const inputs = [...lineInputs(seen, context), file(trustFileOf(product))]
  const program = programOf(product, seen)
  if (program === undefined) return inputs
  inputs.push(versionInput(program))
  const line = lineOf(seen, context)
  if (line.kind === 'refusal') return inputs
  const flags = readFlags(product, line, seenVersion(product, program, seen))
  if (flags.kind === 'refusal') return inputs
  return [...inputs, ...placeInputs(product, flags, seen, context).map(file)]
}

function file(path: string): Input {
  return { kind: 'file', path }
}

/** Undefined: the product is not started by this unit, or does not tell its version. */
function seenVersion(product: WebProduct, program: string, seen: Seen): Version | undefined {
  return versionIn(seen.command(versionInput(program).argv), product.version)
}

export type Unsupported = Extract<Compilation, { kind: 'unsupported' }>

export function webOf(question: WebQuestion): Web | Unsupported {
  const { product, seen } = question
  const program = programOf(product, seen)
  const version = program === undefined ? undefined : seenVersion(product, program, seen)
  const web = partsOf(question, program, version)
  return web.kind === 'refusal' ? unsupported(web, version) : web
}

export function unsupported(refused: Refusal, version: Version | undefined): Unsupported {
  return { kind: 'unsupported', reason: refused.reason, version: version?.text }
}

function partsOf(
  question: WebQuestion,
  program: string | undefined,
  version: Version | undefined,
): Web | Refusal {
  const { product, tls, seen, context } = question
  if (program === undefined)
    return refusal(
      'program-unknown',
      `unit ${seen.unit.unit} does not start ${product.label} itself`,
    )
  if (version === undefined) return noVersion(versionInput(program), seen)
  if (tls.tls === 'on' && !isAtLeast(version, product.tlsSince))
    return refusal(
      'version-unsupported',
      `${product.label} ${version.text} has no TLS; it came with ${product.tlsSince}`,
    )
  const line = lineOf(seen, context)
  if (line.kind === 'refusal') return line
  const flags = readFlags(product, line, version)
  if (flags.kind === 'refusal') return flags
  return tls.tls === 'on'
    ? switchedOn(question, version, flags)
    : switchedOff(question, version, flags)
}

/** All of it, with what the product has besides. */
export function compiledWeb(
  web: Web,
  besides: {
    /** Switched after the flags and before the web configuration. */
    readonly files?: readonly FileIntent[]
    readonly validators?: Compiled['validators']
    readonly loads?: readonly LoadIntent[]
    readonly upstreams?: Compiled['upstreams']
    readonly notices?: readonly Reason[]
  } = {},
): Compilation {
  return {
    kind: 'compiled',
    compiled: {
      version: web.version.text,
      material: web.material,
      files: [
        ...web.flagFiles,
        ...(besides.files ?? []),
        // Last: its rename is what makes a running server use the new pair.
        ...(web.webFile === undefined ? [] : [web.webFile]),
      ],
      keystores: [],
      tools: [],
      validators: besides.validators ?? [],
      loads: [...web.loads, ...(besides.loads ?? [])],
      listeners: web.listeners,
      upstreams: besides.upstreams ?? [],
      notices: [...web.notices, ...(besides.notices ?? [])],
    },
  }
}
