// All codes that the programs give, explained: for `tlsfleet explain`, the dashboard and
// docs/troubleshooting.md. A test holds the list to the sources, in both directions.

import { API } from './api.ts'
import { CERTIFICATES } from './certificates.ts'
import { COMMAND_LINE } from './command-line.ts'
import { CONTROLLER } from './controller.ts'
import { DRIVER_CHANGES } from './driver-changes.ts'
import { DRIVER_LOADS } from './driver-loads.ts'
import { DRIVER_NOTICES } from './driver-notices.ts'
import { DRIVER_REFUSALS } from './driver-refusals.ts'
import { ELASTIC } from './elastic.ts'
import { ENROLLMENT } from './enrollment.ts'
import type { Explanation, Explanations } from './explanation.ts'
import { ISSUERS } from './issuers.ts'
import { NODE_AGENT } from './node-agent.ts'
import { NODE_CERTIFICATES } from './node-certificates.ts'
import { NODE_FILES } from './node-files.ts'
import { NODE_SERVICES } from './node-services.ts'
import { ROLLOUTS } from './rollouts.ts'
import { ROTATIONS } from './rotations.ts'

export interface Chapter {
  readonly title: string
  readonly codes: Explanations
}

/** In the order in which people meet them: most questions are about a node. */
export const CHAPTERS: readonly Chapter[] = [
  { title: 'Services of a node: what is up, loaded and served', codes: NODE_SERVICES },
  { title: 'Files and programs of a node', codes: NODE_FILES },
  { title: 'Certificates on a node', codes: NODE_CERTIFICATES },
  { title: 'The agent itself and its documents', codes: NODE_AGENT },
  { title: 'A product cannot be managed as it is', codes: DRIVER_REFUSALS },
  { title: 'Why a file of a product is changed', codes: DRIVER_CHANGES },
  { title: 'What a running product must have loaded', codes: DRIVER_LOADS },
  { title: 'What an operator should know of a product', codes: DRIVER_NOTICES },
  { title: 'Enrollment and identities of agents', codes: ENROLLMENT },
  { title: 'Plans, rollouts, groups and gates', codes: ROLLOUTS },
  { title: 'Rotation of CAs and issuers', codes: ROTATIONS },
  { title: 'Keys, certificates and chains', codes: CERTIFICATES },
  { title: 'Issuers: requests, uploads, ACME', codes: ISSUERS },
  { title: 'The controller: store, backup, passphrases, settings', codes: CONTROLLER },
  { title: 'Requests to the controller', codes: API },
  { title: 'The command line', codes: COMMAND_LINE },
  { title: 'Accounts at Elasticsearch', codes: ELASTIC },
]

/** Codes that are put together from names of products: the longest prefix counts. */
export const FAMILIES: Readonly<
  Record<string, { readonly form: string; readonly of: Explanation }>
> = {
  'window-self-signed-': {
    form: 'window-self-signed-SERVER-CLIENT',
    of: [
      'Clients are given self-signed certificates after those are made, so for a while they do not reach their server.',
      'Plan the change for a time when that is acceptable; a second rollout follows by itself.',
    ],
  },
  'window-': {
    form: 'window-SERVER-CLIENT',
    of: [
      'A port speaks plaintext or TLS, never both: between the switch of the server and that of its clients, those do not reach it.',
      'Plan the change for a time when that is acceptable. The message says what is lost and what is kept.',
    ],
  },
}

const CODES: ReadonlyMap<string, Explanation> = new Map(
  CHAPTERS.flatMap(({ codes }) => Object.entries(codes)),
)

export interface Explained {
  readonly code: string
  readonly meaning: string
  readonly action: string
}

/** Undefined: no program gives this code. */
export function explain(code: string): Explained | undefined {
  const family = Object.keys(FAMILIES).find(prefix => code.startsWith(prefix))
  const found = CODES.get(code) ?? (family === undefined ? undefined : FAMILIES[family]?.of)
  return found && { code, meaning: found[0], action: found[1] }
}

export function allCodes(): readonly string[] {
  return [...CODES.keys()].toSorted()
}
