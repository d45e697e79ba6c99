// Opens a listener, and says by which URL it is reached.

import { OperationalError } from '../shared/errors.ts'
import type { App } from './api/context.ts'
import { type ListenAddress, publicUrl } from './config.ts'

/** Throws `address-unusable`. */
export async function listen(
  app: App,
  { host, port }: ListenAddress,
  publicNames: readonly string[],
): Promise<string> {
  try {
    await app.listen({ host, port })
  } catch (cause) {
    throw new OperationalError('address-unusable', `could not listen on ${host} port ${port}`, {
      cause,
    })
  }
  const address = app.server.address()
  const actual = typeof address === 'object' && address !== null ? address.port : port
  return publicUrl(publicNames, actual)
}
