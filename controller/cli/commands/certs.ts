import { parseDuration } from '../../../shared/duration.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'
import { byEnd, certificateDetails, certificatesText } from '../views/certificates.ts'

export interface CertsOptions {
  readonly node?: string
  readonly service?: string
  readonly label?: readonly string[]
  readonly expiring?: string
  readonly forecast?: boolean
  readonly withoutController?: boolean
  readonly details?: boolean
}

const HORIZON_DEFAULT = '30d'

/** A question about ends is answered by the exit code too: `changes` when something ends. */
export async function certs(session: Session, options: CertsOptions): Promise<ExitCode> {
  const isForecast = options.forecast === true || options.withoutController === true
  const within = options.expiring ?? (isForecast ? HORIZON_DEFAULT : undefined)
  const nowMs = session.clock.now()
  const query = {
    ...(options.node === undefined ? {} : { node: options.node }),
    ...(options.service === undefined ? {} : { service: options.service }),
    labels: options.label ?? [],
    ...(within === undefined ? {} : { expiringBefore: nowMs + parseHorizon(within) }),
    unrenewed: isForecast,
    isControllerDown: options.withoutController === true,
  }

  const certificates = byEnd(await withClient(session, client => client.certificates(query)))

  const { paint, width } = session
  show(session, { certificates }, shown =>
    options.details === true
      ? certificateDetails(shown.certificates, { paint, width, nowMs })
      : certificatesText(shown.certificates, { within, isForecast }, { paint, width, nowMs }),
  )
  return within !== undefined && certificates.length > 0 ? EXIT.changes : EXIT.ok
}

function parseHorizon(text: string): number {
  const horizonMs = parseDuration(text)
  if (horizonMs !== undefined && horizonMs <= HORIZON_MS_MAX) return horizonMs
  throw new OperationalError('usage', `could not read --expiring ${text}`, {
    hint: 'give a time, for example --expiring 14d',
  })
}

// Longer than any certificate lives, and with the time of today still a number that the API takes.
const HORIZON_MS_MAX = 100 * 366 * 86_400_000
