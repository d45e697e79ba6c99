// A browser may send a client certificate by itself, also with requests that a page of somebody else
// causes. Browsers say where a request comes from, and pages cannot change what they say; whatever is
// no browser says nothing.

import { OperationalError } from '../../shared/errors.ts'
import type { App } from './context.ts'

/** Refuses with `foreign-page` what other origins ask of routes that need a caller. */
export function refuseForeignPages(app: App): void {
  app.addHook('onRequest', async request => {
    if (request.routeOptions.config.policy?.kind !== 'operator') return
    const site = request.headers['sec-fetch-site']
    if (site === undefined || site === 'same-origin' || site === 'none') return
    throw new OperationalError('foreign-page', 'a page of another origin has caused this request', {
      hint: 'Open the dashboard of this controller, or use the command line.',
    })
  })
}
