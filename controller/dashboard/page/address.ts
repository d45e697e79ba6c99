// The address of the page, changed without a step for "back" to go through.

import { hrefOf, parseRoute, type Route } from './route.ts'

/** Another filter of the view that is shown. Who has left it meanwhile is not taken back. */
export function refilter(route: Extract<Route, { readonly filter: string }>): void {
  if (parseRoute(location.hash).view !== route.view) return
  history.replaceState(null, '', hrefOf(route))
  window.dispatchEvent(new HashChangeEvent('hashchange'))
}
