// What the exit codes of `tlsfleet` mean. Scripts depend on them, so they never change.

export const EXIT = {
  ok: 0,
  error: 1,
  changes: 2,
  notSucceeded: 3,
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_CODES_HELP = `Exit codes:
  0    done; for plan: nothing would change
  1    error: nothing was done, or it is not known what was done
  2    plan, elastic users --plan: something would change, or a node's changes are unknown or refused;
       certs --expiring, certs --forecast: a certificate ends by then;
       ca rotate --follow, ca status --watch: the rotation waits for an operator
  3    apply, rollout follow: the rollout ended as partial, failed, aborted or superseded;
       csr import: some certificates were refused, the others were taken
  130  interrupted; a rollout that was started goes on`
