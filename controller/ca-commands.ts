// `tlsfleet-controller ca …`, from its options to its text. Four of the commands work on the data of a
// stopped controller; two need nothing but a directory with roots, and no network.

import { readFileSync } from 'node:fs'
import { AuthorityKind } from '../shared/contract/authorities.ts'
import { Name } from '../shared/contract/schema.ts'
import { OperationalError, systemErrorCode } from '../shared/errors.ts'
import { certificateFacts } from '../shared/pki/facts.ts'
import { spkiPin } from '../shared/pki/pin.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import type { Secret } from '../shared/secret.ts'
import { parseZones } from '../shared/pki/zones.ts'
import { createRoot } from './ca/authority.ts'
import { answerRequest, readRequest } from './ca/intermediate-request.ts'
import { writePrivateFile } from './ca/private-file.ts'
import { keepRoot, openRoot } from './ca/root-directory.ts'
import { changePassphrase } from './change-passphrase.ts'
import {
  importIntermediate,
  renewIntermediate,
  requestIntermediate,
  type RenewedIntermediate,
} from './intermediates.ts'
import { readPassphrase } from './passphrase.ts'
import { type Asking, rootPassphrase } from './root-passphrase.ts'

export interface CaArguments {
  readonly kind?: string | undefined
  readonly zone?: readonly string[] | undefined
  readonly 'ip-range'?: readonly string[] | undefined
  readonly root?: string | undefined
  readonly 'root-passphrase-file'?: string | undefined
  readonly request?: string | undefined
  readonly out?: string | undefined
  readonly fleet?: string | undefined
  readonly 'new-passphrase-file'?: string | undefined
}

export interface CaEdges {
  /** Read only by the commands that open the store. */
  readonly controller: () => {
    readonly dataDir: string
    readonly passphrase: Secret
    readonly passphraseFile: string
  }
  readonly terminal: Asking
  readonly nowMs: number
  readonly random: RandomBytes
}

/** Text for people. */
export async function runCa(
  command: string | undefined,
  rest: readonly string[],
  given: CaArguments,
  edges: CaEdges,
): Promise<string> {
  if (command !== 'import' && rest[0] !== undefined)
    throw usage(`${rest[0]} is one argument too many`)
  switch (command ?? '') {
    case 'intermediate':
      return renewedText(await renewIntermediate(wantedOf(given, edges)))
    case 'request':
      return request(given, edges)
    case 'import':
      return bring(rest, edges)
    case 'sign':
      return sign(given, edges)
    case 'root':
      return root(given, edges)
    case 'passphrase':
      return passphrase(given, edges)
    default:
      throw usage(`ca needs one of ${CA_COMMANDS}`)
  }
}

const CA_COMMANDS = 'intermediate, request, sign, import, root and passphrase'

function wantedOf(given: CaArguments, { controller, nowMs, random }: CaEdges) {
  const zones = parseZones(given.zone ?? [], given['ip-range'] ?? [])
  return { ...controller(), kind: kindOf(given), zones, nowMs, random }
}

async function request(given: CaArguments, edges: CaEdges): Promise<string> {
  const out = required(given.out, 'ca request needs --out FILE')
  const made = await requestIntermediate(wantedOf(given, edges))
  writeNew(out, `${JSON.stringify(made, undefined, 2)}\n`)
  return `${out} asks for a ${made.kind} CA. It holds no secret; its key stays in the store, sealed.
Take it to where the roots are kept:
  tlsfleet-controller ca sign --root DIR --request ${out} --out ANSWER
and bring the answer back:
  tlsfleet-controller ca import ANSWER
`
}

async function bring(files: readonly string[], edges: CaEdges): Promise<string> {
  const [file, other] = files
  if (file === undefined || other !== undefined) throw usage('ca import needs one FILE')
  const { controller, nowMs, random } = edges
  return renewedText(
    await importIntermediate({ ...controller(), nowMs, random, text: readText(file) }),
  )
}

// On a machine that knows no controller: what is signed is what the request says, so it is shown.
async function sign(given: CaArguments, { terminal, nowMs, random }: CaEdges): Promise<string> {
  const directory = required(given.root, 'ca sign needs --root DIR')
  const out = required(given.out, 'ca sign needs --out FILE')
  const asked = readRequest(readText(required(given.request, 'ca sign needs --request FILE')))
  const { fleet, kind } = asked
  const file = given['root-passphrase-file']
  const opened = await openRoot(directory, {
    fleet,
    kind,
    passphrase: () => rootPassphrase(file, terminal, { isNew: false }),
  })
  const answer = answerRequest(asked, opened, { nowMs, random })
  writeNew(out, `${JSON.stringify(answer, undefined, 2)}\n`)
  const { notAfterMs } = certificateFacts(answer.intermediate)
  return `${out} holds an intermediate of the ${kind} CA of fleet ${fleet}.

  signed by   ${certificateFacts(opened.certificatePem).subject}
  ends        ${new Date(notAfterMs).toISOString()}
  signs for   ${zonesText(asked)}

On the controller: tlsfleet-controller ca import ${out}
`
}

async function passphrase(given: CaArguments, edges: CaEdges): Promise<string> {
  const file = required(
    given['new-passphrase-file'],
    'ca passphrase needs --new-passphrase-file FILE',
  )
  const { controller, nowMs, random } = edges
  const { passphraseFile, ...opened } = controller()
  const { keys } = await changePassphrase({ ...opened, nowMs, random }, readPassphrase(file))
  return `${keys} keys are sealed with the passphrase of ${file} now. Before the controller is started, put it in the place of

  ${passphraseFile}

and a copy where you keep the one before. Backups made until now open with that one only: make a new one.
`
}

function zonesText({ kind, zones }: ReturnType<typeof readRequest>): string {
  if (kind === 'identity') return 'identities of agents, and the controller itself'
  return zones === undefined ? 'all names' : [...zones.dnsZones, ...zones.ipRanges].join(', ')
}

/** A new root for a rotation. */
async function root(given: CaArguments, { terminal, nowMs, random }: CaEdges): Promise<string> {
  const directory = required(given.root, 'ca root needs --root DIR')
  const fleet = required(given.fleet, 'ca root needs --fleet NAME')
  if (!Name.safeParse(fleet).success) throw usage(`${fleet} is not the name of a fleet`)
  const kind = kindOf(given)
  const file = given['root-passphrase-file']
  const passphrase = await rootPassphrase(file, terminal, { isNew: true })
  const made = await createRoot({ kind, fleet, nowMs, random })
  const kept = keepRoot(directory, made, { passphrase, random })
  return `${directory} holds a new ${kind} root of fleet ${fleet}: ${kept.certificateFile}, ${kept.keyFile}.

  pin   ${spkiPin(made.certificatePem)}

The next request is signed by it. What it signs is a CA of its own, which \`tlsfleet ca rotate\` brings in.
`
}

function renewedText({ id, state, isSameRoot, fingerprint, notAfterMs }: RenewedIntermediate) {
  const until = new Date(notAfterMs).toISOString()
  if (!isSameRoot)
    return `${id} is there, prepared: nobody trusts it yet. Bring it in with tlsfleet ca rotate.\n`
  const next =
    state === 'active'
      ? 'Start the controller, then move the nodes to it: tlsfleet apply -f fleet.yaml'
      : `${id} is ${state}; nothing else changes.`
  return `${id} signs with another intermediate: ${fingerprint.slice(0, 12)}, until ${until}.\n${next}\n`
}

function kindOf({ kind }: CaArguments) {
  const parsed = AuthorityKind.safeParse(kind ?? 'service')
  if (!parsed.success) throw usage('--kind is service or identity')
  return parsed.data
}

function required(value: string | undefined, message: string): string {
  if (value === undefined) throw usage(message)
  return value
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new OperationalError('file-unreadable', `could not read ${path}`, { cause })
  }
}

function writeNew(path: string, text: string): void {
  try {
    writePrivateFile(path, text)
  } catch (cause) {
    const isThere = systemErrorCode(cause) === 'EEXIST'
    throw new OperationalError('file-unwritable', `could not write ${path}`, {
      cause,
      ...(isThere ? { hint: 'It is there already, and nothing is replaced.' } : {}),
    })
  }
}

function usage(message: string): OperationalError {
  return new OperationalError('usage', message, { hint: 'See tlsfleet-controller --help.' })
}
