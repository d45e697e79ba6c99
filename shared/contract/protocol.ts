// Constants of the wire between agent and controller.

/** Sent by agents as `tlsfleet-protocol`. A controller serves this one and the one before. */
export const PROTOCOL_VERSION = 1
export const PROTOCOL_HEADER = 'tlsfleet-protocol'

/** A long poll is answered at the latest after this time, less a jitter of up to a tenth. */
export const LONG_POLL_MS = 55_000
/** The longest wait that a controller accepts. */
export const LONG_POLL_MAX_MS = 290_000

/** Routes of the agent listener (client certificate required). */
export const AGENT_ROUTES = {
  desired: '/agent/v1/desired',
  report: '/agent/v1/report',
  preview: '/agent/v1/preview',
  sign: '/agent/v1/sign',
  lease: '/agent/v1/lease',
  renew: '/agent/v1/renew',
} as const

/** Routes of the enrol listener (no client certificate). */
export const ENROLL_ROUTES = {
  enroll: '/enroll/v1/enroll',
} as const
