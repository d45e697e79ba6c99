// Where the web configuration is to be, and the flag that says so.

import type { Reason } from '../../../shared/contract/schema.ts'
import { readYaml } from '../../formats/yaml.ts'
import { isTemporary, isUnderHome, logicalPath } from '../paths.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import type { DriverContext, Seen } from '../service.ts'
import { documentIn } from '../values.ts'
import { flagInDropIn } from './command-line.ts'
import type { WantedFlag } from './flag-files.ts'
import type { Flags } from './flags.ts'
import type { WebProduct } from './product.ts'

export interface Place {
  readonly kind: 'place'
  /** Logical. */
  readonly path: string
  readonly flags: readonly WantedFlag[]
  readonly reason: Reason
  readonly notices: readonly Reason[]
}

export function placeOf(
  product: WebProduct,
  flags: Flags,
  seen: Seen,
  context: DriverContext,
): Place | Refusal {
  const flag = flags.webConfig ?? flags.misnamed
  const moved = movedFrom(product, flags, seen, context)
  if (moved?.kind === 'refusal') return moved
  const required = `${product.label} serves TLS only with a web configuration`
  const isKept = flag !== undefined && flag.value !== '' && moved === undefined
  return {
    kind: 'place',
    path: isKept ? logicalPath(flag.value, context) : product.webConfig,
    flags: wantedFlags(flags, isKept ? flag.value : context.servicePath(product.webConfig)),
    reason: moved?.reason ?? because('flags-required', required),
    notices: moved?.notices ?? [],
  }
}

/** The flag under the name that this version knows, and no other. */
export function wantedFlags(flags: Flags, value: string | undefined): readonly WantedFlag[] {
  const { configFlag, webConfig, misnamed } = flags
  const other = configFlag === '--web.config' ? '--web.config.file' : '--web.config'
  return [
    { name: configFlag, value, current: webConfig },
    ...(misnamed === undefined ? [] : [{ name: other, value: undefined, current: misnamed }]),
  ]
}

/** Files that must be looked at before a place can be decided. */
export function placeInputs(
  product: WebProduct,
  flags: Flags,
  seen: Seen,
  context: DriverContext,
): readonly string[] {
  const values = [
    flags.webConfig?.value,
    flags.misnamed?.value,
    flagInDropIn(seen, flags.configFlag),
  ]
  const paths = values
    .filter(value => value !== undefined)
    .map(value => logicalPath(value, context))
    .filter(path => path.startsWith('/'))
  return [...new Set([...paths, product.webConfig])]
}

// A file that says nothing but where the pair is can be replaced by one in a better place. Anything
// else in it, such as passwords, would be lost on the way.
function movedFrom(
  product: WebProduct,
  { webConfig, misnamed, configFlag }: Flags,
  seen: Seen,
  context: DriverContext,
):
  | Refusal
  | { readonly kind: 'moved'; readonly reason: Reason; readonly notices: readonly Reason[] }
  | undefined {
  const path = logicalPath((webConfig ?? misnamed)?.value ?? '', context)
  if (path === '' || isAllowed(path)) return undefined
  const why = isUnderHome(path)
    ? `${path} is under a home directory, which the sandbox of the unit hides`
    : `${path} is not a place that lasts`
  const refuse = (what: string) =>
    refusal('path-not-allowed', `${why}; ${what}, so move it to ${product.webConfig} by hand`)
  const document = documentIn(path, seen.file(path), readYaml)
  if (document.kind === 'refusal') {
    if (seen.file(path)?.kind === 'text') return refuse('it cannot be parsed')
    // A process that started with it sees something in it that the agent does not.
    const isIdle = ['inactive', 'failed'].includes(seen.unit.activeState)
    const isReplaced = flagInDropIn(seen, configFlag) === context.servicePath(product.webConfig)
    if (!isIdle && !isReplaced) return refuse('it cannot be seen')
  } else if (Object.keys(document.value).some(key => key !== 'tls_server_config')) {
    return refuse('it has other settings than TLS')
  }
  const code = isUnderHome(path) ? 'guide-home-path' : 'flags-required'
  const notices = [because('guide-leftover', `${path} is no longer used; remove it with its key`)]
  return { kind: 'moved', reason: because(code, why), notices }
}

function isAllowed(path: string): boolean {
  return path.startsWith('/') && !isUnderHome(path) && !isTemporary(path)
}
