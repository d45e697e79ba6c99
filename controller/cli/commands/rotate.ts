// `tlsfleet ca rotate` and what moves a rotation afterwards.

import type { RotationSummary, RotationView } from '../../../shared/contract/rotations.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { Client } from '../client.ts'
import type { RotationVerb } from '../client-rotations.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { confirm, readSpec, withClient } from '../session.ts'
import { rotationEventLine, rotationLine, rotationText } from '../views/rotation.ts'

export interface RotateOptions {
  readonly identity?: boolean
  readonly issuer?: boolean
  readonly file?: string
  readonly auto?: boolean
  readonly step?: boolean
  readonly yes?: boolean
  readonly follow?: boolean
}

export async function rotate(session: Session, options: RotateOptions): Promise<ExitCode> {
  const kind = kindOf(options)
  const spec = options.file === undefined ? undefined : await readSpec(session, options.file)
  const isSure = await confirm(session, {
    attempt: 'begin a rotation',
    text: QUESTIONS[kind],
    isGiven: options.yes === true,
  })
  if (!isSure) {
    session.terminal.err('nothing was begun\n')
    return EXIT.error
  }
  const pace = options.auto === true ? 'auto' : options.step === true ? 'step' : 'normal'
  const body = { kind, pace, ...(spec === undefined ? {} : { spec: spec.text }) } as const
  return withClient(session, async client => {
    const rotation = await client.rotate(body, spec?.name)
    show(session, rotation, rotationLine)
    return options.follow === true ? follow(session, client, rotation.id) : EXIT.ok
  })
}

const QUESTIONS = {
  service:
    'Replace the CA that signs what services serve? Every node trusts the new one first, then gets a certificate of it; nobody trusts the old one in the end.',
  identity:
    'Replace the CA that signs the identities of agents? Every agent trusts the new one first, then gets an identity of it.',
  issuer:
    'Change the issuers of services to those of this fleet spec? Every client trusts both first, then servers change.',
} as const

function kindOf({ identity, issuer, file, auto, step }: RotateOptions) {
  if (identity === true && issuer === true)
    throw new OperationalError('usage', '--identity and --issuer exclude each other')
  if (auto === true && step === true)
    throw new OperationalError('usage', '--auto and --step exclude each other')
  if ((issuer === true) !== (file !== undefined))
    throw new OperationalError('usage', '--issuer and -f go together', {
      hint: 'tlsfleet ca rotate --issuer -f fleet.yaml',
    })
  return issuer === true ? 'issuer' : identity === true ? 'identity' : 'service'
}

export interface StatusOptions {
  readonly watch?: boolean
}

/** Of the rotation that is under way, or the last one. */
export async function rotationStatus(session: Session, options: StatusOptions): Promise<ExitCode> {
  return withClient(session, async client => {
    const [newest] = (await client.rotations()).rotations
    if (newest === undefined) {
      show(session, { rotations: [] }, () => 'no CA was ever rotated')
      return EXIT.ok
    }
    if (options.watch === true) return follow(session, client, newest.id)
    const view = await client.rotation(newest.id)
    const { paint, width } = session
    show(session, view, shown => rotationText(shown, { paint, width }))
    return EXIT.ok
  })
}

export interface MoveOptions {
  readonly reason?: string
  readonly yes?: boolean
}

export async function moveRotation(
  session: Session,
  verb: RotationVerb,
  id: string,
  options: MoveOptions,
): Promise<ExitCode> {
  const text = MOVES[verb]
  const isSure =
    text === undefined ||
    (await confirm(session, {
      attempt: `${verb} rotation ${id}`,
      text: text(id),
      isGiven: options.yes === true,
    }))
  if (!isSure) {
    session.terminal.err('nothing was done\n')
    return EXIT.error
  }
  return withClient(session, async client => {
    // An id of a CA, before there is a rotation away from it.
    if (verb === 'taint' && CA_ID.test(id)) {
      await client.taintAuthority(id, options.reason)
      show(session, { tainted: id }, () => `CA ${id} is marked; replace it: tlsfleet ca rotate`)
      return EXIT.ok
    }
    await client.moveRotation(id, verb, options.reason)
    // With the names of all that it still waits for.
    const view = await client.rotation(id)
    const { paint, width } = session
    show(session, view, shown => rotationText(shown, { paint, width }))
    return EXIT.ok
  })
}

const CA_ID = /^(?:identity|service)-\d+$/

const MOVES: Readonly<Record<RotationVerb, ((id: string) => string) | undefined>> = {
  advance: id =>
    `Let rotation ${id} go on to its next phase? After retire it cannot be taken back.`,
  resume: undefined,
  abort: id => `Take rotation ${id} back, phase by phase?`,
  taint: id => `Mark the CA of ${id} as compromised? Its rotation then waits for nobody.`,
}

const POLL_MS = 2_000

/** Until it ends, or waits for an operator. */
async function follow(session: Session, client: Client, id: string): Promise<ExitCode> {
  let told = 0
  let before = ''
  for (;;) {
    const view = await client.rotation(id)
    for (const event of view.history.filter(({ version }) => version > told)) {
      told = event.version
      session.terminal.out(
        session.json
          ? session.event({ type: 'event', event })
          : rotationEventLine(event, session.paint),
      )
    }
    const state = `${view.waitsFor} ${view.barrier.total}`
    if (state !== before && !session.json) session.terminal.out(`${rotationLine(view)}\n`)
    before = state
    const code = endOf(view)
    if (code !== undefined) {
      if (session.json) session.terminal.out(session.event({ type: 'rotation', rotation: view }))
      return code
    }
    await session.clock.sleep(POLL_MS, session.signal)
    if (session.signal.aborted) return interrupted(session, view)
  }
}

function endOf({ status, waitsFor }: RotationView): ExitCode | undefined {
  if (status === 'completed') return EXIT.ok
  if (status === 'reversed') return EXIT.notSucceeded
  return waitsFor === 'advance' || waitsFor === 'resume' ? EXIT.changes : undefined
}

function interrupted({ terminal }: Session, { id }: RotationSummary): ExitCode {
  terminal.err(`interrupted; rotation ${id} goes on. See it: tlsfleet ca status\n`)
  return EXIT.interrupted
}
