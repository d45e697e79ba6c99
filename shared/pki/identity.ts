// Identities of our own certificates: a URI in the SPIFFE form, one per certificate. The role in
// the URI and the purpose of the certificate must agree, so that no certificate plays two roles.

import type { X509Certificate } from 'node:crypto'
import { assert } from '../assert.ts'
import { certificateDetails } from './extensions.ts'
import { OID } from './oids.ts'

export type Identity =
  | { readonly kind: 'node'; readonly fleet: string; readonly nodeId: string }
  | { readonly kind: 'controller'; readonly fleet: string }

// The form of `Name` in the contract.
const NAME = '[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?'
const CONTROLLER = new RegExp(`^spiffe://(${NAME})/controller$`)
const NODE = new RegExp(`^spiffe://(${NAME})/node/(${NAME})$`)

export function identityUri(identity: Identity): string {
  const path = identity.kind === 'node' ? `node/${identity.nodeId}` : 'controller'
  const uri = `spiffe://${identity.fleet}/${path}`
  assert(parseIdentity(uri) !== undefined, `${uri} is not an identity`)
  return uri
}

/** Undefined for every other URI, also for an unknown role. */
export function parseIdentity(uri: string): Identity | undefined {
  const [, controllerFleet] = CONTROLLER.exec(uri) ?? []
  if (controllerFleet !== undefined) return { kind: 'controller', fleet: controllerFleet }
  const [, fleet, nodeId] = NODE.exec(uri) ?? []
  if (fleet === undefined || nodeId === undefined) return undefined
  return { kind: 'node', fleet, nodeId }
}

/**
 * Who the owner of a *verified* certificate is. Undefined unless it is a leaf with exactly one URI,
 * that URI is an identity, and the purposes are those of the role and no others.
 */
export function identityOf(certificate: X509Certificate): Identity | undefined {
  const { names, extendedKeyUsage = [] } = certificateDetails(certificate)
  const [uri, ...others] = names?.uris ?? []
  if (certificate.ca || uri === undefined || others.length > 0) return undefined
  const identity = parseIdentity(uri)
  if (identity === undefined) return undefined
  const purpose = identity.kind === 'node' ? OID.clientAuth : OID.serverAuth
  return extendedKeyUsage.length === 1 && extendedKeyUsage[0] === purpose ? identity : undefined
}
