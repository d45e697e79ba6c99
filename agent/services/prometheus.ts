// Prometheus 2.24 and later: TLS of its own web interface and API, and of what it asks others.

import type { ServiceTlsOf } from '../../shared/contract/service.ts'
import { flagsNamed, type Word } from './command-line.ts'
import { directoryOf, logicalPath } from './paths.ts'
import { clientOf, upstreamTrustPath, type Client } from './prometheus/client.ts'
import {
  STAGED_TOKEN,
  type Compilation,
  type Driver,
  type DriverContext,
  type Input,
  type Seen,
  type Validator,
} from './service.ts'
import { isAtLeast } from './version.ts'
import { lineOf } from './web-config/command-line.ts'
import { trustFileOf, type WebProduct } from './web-config/product.ts'
import type { Web } from './web-config/parts.ts'
import { compiledWeb, unsupported, webInputs, webOf } from './web-config/web.ts'
import { UNITS } from './units.ts'

export const prometheus: Driver<'prometheus'> = {
  service: 'prometheus',
  units: UNITS.prometheus,
  inputs,
  compile,
}

type Intent = ServiceTlsOf<'prometheus'>

const PRODUCT: WebProduct = {
  label: 'prometheus',
  isProgram: name => name.startsWith('prometheus'),
  version: /\bprometheus, version (v?\d+\.\d+\.\d+[^\s,()]*)/,
  tlsSince: '2.24.0',
  toolkits: [
    ['2.24.0', '0.4.0'],
    ['2.31.0', '0.7.0'],
    ['2.45.0', '0.10.0'],
    ['2.50.0', '0.11.0'],
    ['3.8.0', '0.15.0'],
    ['3.15.0', 'later'],
  ],
  severalListenersSince: '2.55.0',
  directory: '/etc/prometheus/tls',
  webConfig: '/etc/prometheus/web-config.yml',
  listen: '0.0.0.0:9090',
  healthPath: '/-/ready',
}

// Debian's default; upstream's is relative to a working directory that units seldom set.
const DEFAULT_CONFIG = '/etc/prometheus/prometheus.yml'
// In 2.33 or soon after; older ones are asked less.
const SYNTAX_ONLY_SINCE = '2.37.0'
const CHECK_TIMEOUT_MS = 30_000

function inputs(seen: Seen, context: DriverContext): readonly Input[] {
  const wanted = webInputs(PRODUCT, seen, context)
  const line = lineOf(seen, context)
  const config = line.kind === 'refusal' ? undefined : configPath(line.words, context)
  const paths = [upstreamTrustPath(PRODUCT), ...(config === undefined ? [] : [config])]
  return [...wanted, ...paths.map(path => ({ kind: 'file', path }) as const)]
}

function compile(tls: Intent, seen: Seen, context: DriverContext): Compilation {
  const { externalUrl } = tls.options
  const web = webOf({ product: PRODUCT, tls, externalUrl, seen, context })
  if (web.kind === 'unsupported') return web
  const { words } = web.flags.line
  const estate = { tls, listenAddresses: web.flags.listenAddresses }
  const client = clientOf({
    estate,
    path: configPath(words, context),
    product: PRODUCT,
    seen,
    context,
  })
  if (client.kind === 'refusal') return unsupported(client, web.version)
  return compiledWeb(web, {
    // The trust is in place before a job names it.
    files: [client.trust, client.config].filter(file => file !== undefined),
    validators: validatorsFor(tls, web, client, seen),
    loads: client.loads,
    upstreams: client.upstreams,
    notices: client.notices,
  })
}

/** Logical; undefined where it is relative to a directory that is not known. */
function configPath(words: readonly Word[], context: DriverContext): string | undefined {
  const value = flagsNamed(words, 'config.file')[0]?.value ?? DEFAULT_CONFIG
  const path = logicalPath(value, context)
  return path.startsWith('/') ? path : undefined
}

function validatorsFor(tls: Intent, web: Web, client: Client, seen: Seen): readonly Validator[] {
  const { version, flags, webFile } = web
  const promtool = `${directoryOf(flags.line.program).replace(/\/$/, '')}/promtool`
  const validators: Validator[] = []
  const check = (args: readonly string[], path: string, what: string) =>
    validators.push({
      argv: [promtool, 'check', ...args, `${STAGED_TOKEN}${path}`],
      timeoutMs: CHECK_TIMEOUT_MS,
      what,
    })
  // It wants to find the CA of clients, which is put there together with the file that names it.
  const isComplete = tls.clientAuth === 'none' || seen.file(trustFileOf(PRODUCT))?.kind === 'text'
  if (webFile?.kind === 'config' && (tls.tls === 'off' || isComplete))
    check(['web-config'], webFile.path, 'promtool accepts the web configuration')
  // An agent takes other keys, and the option that says so is younger than agents.
  if (client.config === undefined || runsAsAgent(flags.line.words)) return validators
  // Beyond the syntax it wants to find the pair for scrapes under its final name, which is yet to come.
  if (isAtLeast(version, SYNTAX_ONLY_SINCE))
    check(['config', '--syntax-only'], client.config.path, 'promtool accepts the jobs')
  else if (tls.clientAuth !== 'required' && client.trust === undefined)
    check(['config'], client.config.path, 'promtool accepts the jobs')
  return validators
}

function runsAsAgent(words: readonly Word[]): boolean {
  const features = flagsNamed(words, 'enable-feature').flatMap(flag => flag.value.split(','))
  return features.includes('agent') || words.some(word => word.text === '--agent')
}
