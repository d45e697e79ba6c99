// The items of a plan that are no file of their own, as people and programs see them. Pure.

import type { ChangeSummary } from '../shared/contract/report.ts'
import type { UnitState } from './host.ts'
import { type Owed, activationOf } from './owed.ts'
import type { MaterialDecision } from './resources/material.ts'
import { STORE_FILE, storePasswordPath } from './resources/store.ts'
import type { Compiled } from './services/service.ts'

export function materialChanges(
  compiled: Compiled,
  material: MaterialDecision,
): readonly ChangeSummary[] {
  if (material.kind !== 'new' && material.kind !== 'switch') return []
  const isFirst = material.reason.code === 'certificate-missing'
  return [
    {
      resource: `${compiled.material.directory}/current`,
      kind: 'certificate',
      action: isFirst ? 'create' : 'update',
      summary:
        material.kind === 'new'
          ? isFirst
            ? 'make a key and get a certificate'
            : 'make a new key and get a new certificate'
          : `switch to the prepared certificate ${material.release.facts.fingerprint.slice(0, 16)}`,
      reason: material.reason,
    },
  ]
}

export function passwordChange({ material }: Compiled): ChangeSummary {
  return {
    resource: storePasswordPath(material.directory),
    kind: 'file',
    action: 'create',
    summary: `keep the password of ${STORE_FILE}`,
    reason: {
      code: 'store-password-adopted',
      message: 'the product has it already, and what is made from now on is to open with it too',
    },
  }
}

export function owedChange(unit: UnitState, owed: Owed): readonly ChangeSummary[] {
  if (owed.verb === 'none') return []
  const activation = activationOf(owed)
  return [
    {
      resource: unit.unit,
      kind: 'activation',
      action: 'update',
      summary: `${activation} ${unit.unit}`,
      reason: owed.reason,
    },
  ]
}
