// How programs written in Go learn a private CA when they have no key for it (facts:
// influx-telegraf-prometheus 1.1): from the CA store of the node, or from a directory that their
// environment names. They read either once, when they start.

import { sha256 } from '../../../shared/digest.ts'
import type { ServiceName, TrustStore } from '../../../shared/contract/service.ts'
import { normalizeBundle } from '../../../shared/pki/trust.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import { environmentPaths, settingOf } from '../command-line.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import type { DriverContext, FileIntent, Input, Seen, ToolIntent } from '../service.ts'

export interface SystemRoots {
  readonly kind: 'roots'
  readonly files: readonly FileIntent[]
  readonly tools: readonly ToolIntent[]
}

export const NO_ROOTS: SystemRoots = { kind: 'roots', files: [], tools: [] }

export interface RootsInput {
  readonly service: ServiceName
  readonly store: TrustStore
  readonly pems: readonly string[]
  /** Logical path of our own directory. */
  readonly directory: string
  readonly seen: Seen
  readonly context: DriverContext
}

interface SystemStore {
  /** What programs read. */
  readonly bundle: string
  /** Where certificates are added. */
  readonly directory: string
  readonly suffix: string
  readonly tool: readonly [program: string, ...words: string[]]
}

// update-ca-certificates(8) of Debian, update-ca-trust(8) of Fedora and its kin.
const STORES: readonly SystemStore[] = [
  {
    bundle: '/etc/ssl/certs/ca-certificates.crt',
    directory: '/usr/local/share/ca-certificates',
    suffix: '.crt',
    tool: ['/usr/sbin/update-ca-certificates'],
  },
  {
    bundle: '/etc/pki/tls/certs/ca-bundle.crt',
    directory: '/etc/pki/ca-trust/source/anchors',
    suffix: '.pem',
    tool: ['/usr/bin/update-ca-trust', 'extract'],
  },
]
const TOOL_TIMEOUT_MS = 120_000
const DIRECTORY_VARIABLE = 'SSL_CERT_DIR'

export function rootsInputs(store: TrustStore): readonly Input[] {
  if (store !== 'system') return []
  return STORES.flatMap(({ bundle, directory }): readonly Input[] => [
    { kind: 'file', path: bundle },
    { kind: 'directory', path: directory },
  ])
}

export function systemRoots(input: RootsInput): SystemRoots | Refusal {
  if (input.pems.length === 0 || input.store === 'leave') return NO_ROOTS
  return input.store === 'system' ? inSystemStore(input) : inEnvironment(input)
}

// One file for each CA, named by what it holds: an obsolete one is known by its name.
function inSystemStore({ service, pems, seen, context }: RootsInput): SystemRoots | Refusal {
  const store = STORES.find(({ bundle }) => seen.file(bundle)?.kind === 'text')
  if (store === undefined)
    return refusal(
      'trust-store-unknown',
      `neither ${STORES.map(({ bundle }) => bundle).join(' nor ')} is there: install ca-certificates, or use trustStore: unit`,
    )
  const certificates = splitPemCertificates(normalizeBundle(pems))
  const wanted = new Map(
    certificates.map(pem => [
      `tlsfleet-${service}-${sha256(pem).slice(0, 16)}${store.suffix}`,
      pem,
    ]),
  )
  const names = seen.directory(store.directory) ?? []
  const isOurs = (name: string) =>
    new RegExp(`^tlsfleet-${service}-[0-9a-f]{16}\\${store.suffix}$`).test(name)
  const reason = because('trust-store', `${service} trusts the CA certificates of the node only`)
  const added = [...wanted].map(
    ([name, text]): FileIntent => ({
      kind: 'content',
      path: `${store.directory}/${name}`,
      text,
      reason,
      createMode: 0o644,
    }),
  )
  const removed = names
    .filter(name => isOurs(name) && !wanted.has(name))
    .map(
      (name): FileIntent => ({
        kind: 'content',
        path: `${store.directory}/${name}`,
        text: undefined,
        reason,
        createMode: 0o644,
      }),
    )
  const files = [...added, ...removed]
  const [program, ...words] = store.tool
  const bundle = seen.file(store.bundle)
  const text = bundle?.kind === 'text' ? bundle.text : ''
  return {
    kind: 'roots',
    files,
    tools: [
      {
        // Of this node: that of the machine changes another store.
        argv: [context.servicePath(program), ...words],
        timeoutMs: TOOL_TIMEOUT_MS,
        what: `bring ${store.bundle} up to date`,
        after: files.map(({ path }) => path),
        isStale: certificates.some(pem => !text.includes(bodyOf(pem))),
        reason,
      },
    ],
  }
}

// Lines of base64 without the last, which tools end in different ways.
function bodyOf(pem: string): string {
  return pem.trim().split(/\r?\n/).slice(1, -1).join('\n')
}

// The bundle of the node is read as well: the variable replaces the list of directories only.
function inEnvironment({ directory, pems, seen, context }: RootsInput): SystemRoots | Refusal {
  const ours = `${directory}/roots`
  const found = settingOf(DIRECTORY_VARIABLE, seen, context)
  const path = found?.path ?? environmentPaths(seen, context)[0]
  const value = withDirectory(found?.value ?? '', context.servicePath(ours))
  const reason = because('trust-store', `${DIRECTORY_VARIABLE} names the CA certificates to trust`)
  const trust: FileIntent = {
    kind: 'content',
    path: `${ours}/ca.pem`,
    text: normalizeBundle(pems),
    reason,
    createMode: 0o644,
  }
  if (found !== undefined && found.path === undefined) {
    if (found.value === value) return { kind: 'roots', files: [trust], tools: [] }
    return refusal(
      'environment-fixed',
      `Environment= of ${seen.unit.unit} sets ${DIRECTORY_VARIABLE}=${found.value}, which must become ${value}`,
    )
  }
  if (path === undefined)
    return refusal(
      'environment-missing',
      `${seen.unit.unit} has no EnvironmentFile= for ${DIRECTORY_VARIABLE}: use trustStore: system`,
    )
  return {
    kind: 'roots',
    files: [
      trust,
      {
        kind: 'environment',
        path,
        edits: [{ kind: 'variable', variable: DIRECTORY_VARIABLE, value }],
        reason,
        createMode: 0o644,
      },
    ],
    tools: [],
  }
}

function withDirectory(value: string, directory: string): string {
  const directories = value.split(':').filter(one => one !== '' && one !== directory)
  return [...directories, directory].join(':')
}
