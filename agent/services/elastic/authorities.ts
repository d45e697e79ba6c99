// Lists of CA files in settings of Kibana and Beats.

import { textsIn, type FlatSettings } from './settings.ts'

/**
 * Ours first; others stay: nodes that are switched later may need them, and more trust never breaks
 * a connection (elastic 2(h)). Those that the product cannot open would stop its start.
 */
export function authoritiesWith(
  settings: Pick<FlatSettings, 'value'>,
  key: string,
  trusted: string,
): readonly string[] {
  const others = (textsIn(settings.value(key)) ?? []).filter(
    path => path !== trusted && isOpenable(path),
  )
  return [trusted, ...others]
}

/**
 * Both put in `${VAR}` but not `$VAR`, and look for what is relative below another directory than
 * people think. Beats take the certificate itself as well.
 */
export function isOpenable(path: string): boolean {
  return path.startsWith('/') || path.startsWith('${') || path.startsWith('-----BEGIN ')
}
