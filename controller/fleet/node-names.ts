// The names of a node that the certificate of a service carries, and its clients know. Pure.

import type { Names } from '../../shared/contract/schema.ts'
import { normalizeNames } from '../../shared/pki/names.ts'

/** As an entry picks them: some of those recorded, all DNS names, or everything (undefined). */
export type PickedNames =
  | { readonly dns: readonly string[]; readonly ip: readonly string[] }
  | 'dns'
  | undefined

export function pickedNames(picked: PickedNames, recorded: Names): Names {
  const { dns, ip } = normalizeNames(recorded, { wildcard: false })
  if (picked === undefined) return { dns: [...dns], ip: [...ip] }
  return picked === 'dns' ? { dns: [...dns], ip: [] } : { dns: [...picked.dns], ip: [...picked.ip] }
}
