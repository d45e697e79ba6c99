// Operators: people and programs that use the API, and the tokens that they do it with.

/** What a credential may be used for; api/policy.ts says what each may do. */
export const ROLES = ['viewer', 'operator', 'approver', 'admin'] as const
export type Role = (typeof ROLES)[number]

export interface OperatorRecord {
  readonly name: string
  readonly role: Role
  /** URIs and mail addresses in client certificates that speak for this operator. */
  readonly certificateNames: readonly string[]
  /** Nothing of it is accepted until it is enabled again. */
  readonly isDisabled: boolean
  readonly createdAtMs: number
  readonly createdBy: string
}

export interface Operators {
  /** Fails with `already-exists`, also when another one has a name of its certificates. */
  insert(operator: OperatorRecord): Promise<void>
  get(name: string): Promise<OperatorRecord | undefined>
  /** By name, ascending. */
  list(): Promise<readonly OperatorRecord[]>
  /** Of the names of a certificate, whoever has one; more than one when they do not agree. */
  findByCertificateNames(names: readonly string[]): Promise<readonly OperatorRecord[]>
  /** Role, names of certificates and whether it is disabled. False: no such operator. Fails with `already-exists`. */
  update(
    operator: Pick<OperatorRecord, 'name' | 'role' | 'certificateNames' | 'isDisabled'>,
  ): Promise<boolean>
  /** Removes the operator with its tokens; what was denied of its certificates stays so. False: no such operator. */
  remove(name: string): Promise<boolean>
  /** A certificate is not accepted any more, whoever it is for. Serial as lower-case hex without leading zeros. */
  denySerial(denial: DeniedSerial): Promise<void>
  isSerialDenied(serial: string): Promise<boolean>
  /** Newest last. */
  deniedSerials(operator: string): Promise<readonly DeniedSerial[]>
}

export interface DeniedSerial {
  readonly serial: string
  readonly operator: string
  readonly atMs: number
  readonly by: string
}

export interface CredentialRecord {
  readonly id: string
  /** Of its operator. */
  readonly name: string
  /** At most that of its operator. */
  readonly role: Role
  /** SHA-256 of the secret; the secret itself is nowhere. */
  readonly secretHash: string
  readonly createdAtMs: number
  readonly createdBy: string
  /** Undefined only for tokens that were made before they had an end. */
  readonly expiresAtMs: number | undefined
  /** Up to a minute ago more than written here. */
  readonly lastUsedAtMs: number | undefined
}

export interface Credentials {
  /** The operator must exist. */
  insert(credential: Omit<CredentialRecord, 'lastUsedAtMs'>): Promise<void>
  get(id: string): Promise<CredentialRecord | undefined>
  /** In the order of their creation. */
  list(): Promise<readonly CredentialRecord[]>
  touch(id: string, atMs: number): Promise<void>
  remove(id: string): Promise<boolean>
}
