// The agent's standing with its controller: who it is, and the connection that this makes. Renewed at
// half of the identity's life, with a new key.

import type { Logger } from '../shared/log.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Host } from './host.ts'
import { identityRenewalAtMs, isForKey, newIdentityKey, storeIdentity } from './identity.ts'
import type { Identity, Remote } from './remote.ts'

export interface Session {
  identity(): Identity
  remote(): Remote
  /** Does nothing before half of the life; a failure is tried again with the next pass. */
  renewIfDue(signal: AbortSignal): Promise<void>
}

export function createSession(options: {
  readonly host: Host
  readonly stateDirectory: string
  readonly identity: Identity
  readonly connect: (identity: Identity) => Remote
  readonly log: Logger
}): Session {
  const { host, log, connect, stateDirectory } = options
  let { identity } = options
  let remote = connect(identity)

  async function renew(signal: AbortSignal): Promise<void> {
    const { keys, proof } = await newIdentityKey(identity.node)
    const certificateChain = await remote.renew(keys.publicKeyPem, proof, signal)
    if (!isForKey(certificateChain, keys))
      throw new OperationalError('malformed-answer', 'renewed identity is for another key')
    const next = { ...identity, certificateChain, privateKey: keys.privateKeyPem }
    await storeIdentity(host.files, stateDirectory, next)
    const old = remote
    identity = next
    remote = connect(next)
    old.close()
    log.info('identity renewed')
  }

  return {
    identity: () => identity,
    remote: () => remote,
    async renewIfDue(signal) {
      if (host.clock.now() < identityRenewalAtMs(identity)) return
      try {
        await renew(signal)
      } catch (error) {
        if (!(error instanceof OperationalError)) throw error
        log.warn({ code: error.code, error: describeError(error) }, 'identity could not be renewed')
      }
    },
  }
}
