// What kibana-keystore holds goes before kibana.yml.

import { refusal, type Refusal } from '../reasons.ts'
import type { SeenKeystore } from '../service.ts'

/** A store that nobody can look into holds secrets, not TLS settings: it is not asked about. */
export function overriddenBy(
  keystore: SeenKeystore | undefined,
  keys: readonly string[],
): Refusal | undefined {
  if (keystore?.kind !== 'opened') return undefined
  const key = [...new Set(keys)].find(one => keystore.entries.has(one))
  return key === undefined
    ? undefined
    : refusal(
        'keystore-override',
        `kibana.keystore holds ${key}, which goes before kibana.yml: take it out with \`kibana-keystore remove ${key}\``,
      )
}
