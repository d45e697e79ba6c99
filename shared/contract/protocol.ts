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
  probe: '/agent/v1/probe',
  debts: '/agent/v1/debts',
  sign: '/agent/v1/sign',
  provided: '/agent/v1/provided',
  lease: '/agent/v1/lease',
  renew: '/agent/v1/renew',
  whoami: '/agent/v1/whoami',
} as const

/** Routes of the enrol listener (no client certificate). */
export const ENROLL_ROUTES = {
  enroll: '/enroll/v1/enroll',
  renewExpired: '/enroll/v1/renew-expired',
} as const

/** Value of a TLS 1.3 connection that only its two ends know: RFC 9266, `tls-exporter`. */
export const CHANNEL_BINDING_LABEL = 'EXPORTER-Channel-Binding'
export const CHANNEL_BINDING_BYTES = 32
