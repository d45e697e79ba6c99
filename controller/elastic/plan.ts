// The difference between the accounts that are wanted and those that are there, as data. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { Account, AccountName, WantedRole } from './accounts.ts'
import {
  type Difference,
  type ElasticsearchRole,
  type KibanaRole,
  difference,
  elasticsearchRights,
  isEqual,
  keepEditing,
  kibanaRights,
  wantedRights,
} from './rights.ts'

export type ObservedRole =
  | { readonly api: 'elasticsearch'; readonly role: ElasticsearchRole }
  | { readonly api: 'kibana'; readonly role: KibanaRole }

export interface ObservedUser {
  readonly roles: readonly string[]
  readonly enabled: boolean
  /** What is not ours, given back as it is whenever the user is written. */
  readonly kept: Readonly<Record<string, unknown>>
}

/** `none`: no password is at hand. `refused`: Elasticsearch does not accept the one at hand. */
export type PasswordState = 'none' | 'unchecked' | 'accepted' | 'refused'

export interface ObservedAccount {
  /** Undefined: there is none. `unknown`: it could not be looked at without Kibana. */
  readonly role: ObservedRole | 'unknown' | undefined
  readonly user: ObservedUser | undefined
  readonly password: PasswordState
}

export type PasswordSource = 'at-hand' | 'new'

/** A request to be made; the password is not part of a plan, only where it comes from. */
export type Write =
  | { readonly kind: 'role'; readonly api: WantedRole['api']; readonly body: object }
  | { readonly kind: 'create-user'; readonly body: object; readonly password: PasswordSource }
  | { readonly kind: 'update-user'; readonly body: object }
  | { readonly kind: 'set-password'; readonly password: PasswordSource }

export interface Entry extends Difference {
  readonly kind: 'role' | 'user' | 'password'
  readonly name: AccountName
  readonly action: 'none' | 'create' | 'update' | 'skip'
  readonly reason: Reason
  readonly write: Write | undefined
}

/** Every code that an entry can have, with its meaning. */
export const ACCOUNT_REASONS = {
  'role-missing': 'there is no such role',
  'role-differs': 'the role grants something else than Metricbeat needs',
  'role-of-guide': 'the role is as a guide has it, which is not what Metricbeat needs today',
  'role-as-wanted': 'the role grants what Metricbeat needs',
  'kibana-not-given': 'this role is written through Kibana; give its URL with --kibana',
  'user-missing': 'there is no such user',
  'user-roles-differ': 'the user has other roles than Metricbeat needs',
  'user-roles-of-guide': 'the user has roles that a guide gives and Metricbeat does not need',
  'user-as-wanted': 'the user has the roles that Metricbeat needs',
  'user-disabled': 'somebody disabled the user, so its password cannot be checked; it stays so',
  'password-accepted': 'Elasticsearch accepts the password at hand',
  'password-not-at-hand': 'no password is at hand to check; it stays as it is',
  'password-refused': 'Elasticsearch does not accept the password at hand',
  'password-rotated':
    'a new password is asked for; Beats that have the old one are refused until they get the new one',
} as const
type ReasonCode = keyof typeof ACCOUNT_REASONS

const NO_DIFFERENCE: Difference = { added: [], removed: [] }

/** Roles first: a user must never be without what its roles grant. */
export function planAccounts(
  accounts: readonly Account[],
  observed: (name: AccountName) => ObservedAccount,
  rotate: ReadonlySet<string>,
): readonly Entry[] {
  const seen = accounts.map(account => [account, observed(account.name)] as const)
  return [
    ...seen.map(([account, { role }]) => planRole(account, role)),
    ...seen.flatMap(([account, actual]) => planUser(account, actual, rotate.has(account.name))),
  ]
}

function planRole(account: Account, actual: ObservedAccount['role']): Entry {
  const { name } = account
  const entry = { kind: 'role', name, ...NO_DIFFERENCE, write: undefined } as const
  if (actual === 'unknown') return { ...entry, action: 'skip', reason: because('kibana-not-given') }

  const role = withKept(account.role, actual)
  const rights = wantedRights(role.elasticsearch, role.api === 'kibana' ? role.kibana : [])
  const delta = difference(rights, rightsOf(actual))
  if (actual !== undefined && isEqual(delta))
    return { ...entry, action: 'none', reason: because('role-as-wanted') }
  const reason =
    actual === undefined
      ? because('role-missing')
      : because('role-differs', account, delta, 'role-of-guide')
  const action = actual === undefined ? 'create' : 'update'
  const write = { kind: 'role', api: role.api, body: roleBody(role, actual) } as const
  return { ...entry, ...delta, action, reason, write }
}

function withKept(wanted: WantedRole, actual: ObservedRole | undefined): WantedRole {
  return wanted.api === 'kibana' && actual?.api === 'kibana'
    ? { ...wanted, kibana: keepEditing(wanted.kibana, actual.role) }
    : wanted
}

function rightsOf(actual: ObservedRole | undefined): ReadonlySet<string> {
  if (actual === undefined) return new Set()
  return actual.api === 'kibana' ? kibanaRights(actual.role) : elasticsearchRights(actual.role)
}

// Writing replaces the whole role: what operators noted on it goes along.
function roleBody(role: WantedRole, actual: ObservedRole | undefined): object {
  const { metadata, description } = actual?.role ?? {}
  const notes = {
    ...(isPresent(metadata) ? { metadata } : {}),
    ...(isPresent(description) && description !== '' ? { description } : {}),
  }
  switch (role.api) {
    case 'elasticsearch':
      return { ...role.elasticsearch, ...notes }
    case 'kibana':
      return {
        elasticsearch: { ...role.elasticsearch, run_as: [] },
        kibana: role.kibana.map(grant => ({ base: [], ...grant })),
        ...notes,
      }
    default:
      return unreachable(role)
  }
}

function planUser(
  account: Account,
  { role, user, password }: ObservedAccount,
  isRotated: boolean,
): readonly Entry[] {
  const { name } = account
  const entry = { kind: 'user', name, ...NO_DIFFERENCE, write: undefined } as const
  // A user without its role would be there and could do nothing.
  if (role === 'unknown') return [{ ...entry, action: 'skip', reason: because('kibana-not-given') }]

  const delta = difference(roleRights(account.userRoles), roleRights(user?.roles ?? []))
  if (user === undefined) {
    const write = {
      kind: 'create-user',
      body: { roles: account.userRoles },
      password: password === 'none' || isRotated ? 'new' : 'at-hand',
    } as const
    return [{ ...entry, ...delta, action: 'create', reason: because('user-missing'), write }]
  }
  const passwordEntry = planPassword(name, { user, password, isRotated })
  if (isEqual(delta))
    return [{ ...entry, action: 'none', reason: because('user-as-wanted') }, passwordEntry]
  const body = { ...user.kept, enabled: user.enabled, roles: account.userRoles }
  const reason = because('user-roles-differ', account, delta, 'user-roles-of-guide')
  const write = { kind: 'update-user', body } as const
  return [{ ...entry, ...delta, action: 'update', reason, write }, passwordEntry]
}

function planPassword(
  name: AccountName,
  {
    user,
    password,
    isRotated,
  }: {
    readonly user: ObservedUser
    readonly password: PasswordState
    readonly isRotated: boolean
  },
): Entry {
  const entry = { kind: 'password', name, ...NO_DIFFERENCE, write: undefined } as const
  const set = (source: PasswordSource, code: ReasonCode): Entry => ({
    ...entry,
    action: 'update',
    reason: because(code),
    write: { kind: 'set-password', password: source },
  })
  if (!user.enabled) return { ...entry, action: 'skip', reason: because('user-disabled') }
  if (isRotated) return set('new', 'password-rotated')
  switch (password) {
    case 'refused':
      return set('at-hand', 'password-refused')
    case 'accepted':
      return { ...entry, action: 'none', reason: because('password-accepted') }
    case 'none':
    case 'unchecked':
      return { ...entry, action: 'none', reason: because('password-not-at-hand') }
    default:
      return unreachable(password)
  }
}

function roleRights(roles: readonly string[]): ReadonlySet<string> {
  return new Set(roles.map(role => `role ${role}`))
}

/** With `guideCode` for a difference that takes away what only a guide gives. */
function because(
  code: ReasonCode,
  account?: Account,
  { removed }: Difference = NO_DIFFERENCE,
  guideCode: ReasonCode = code,
): Reason {
  const whys = (account?.guide ?? [])
    .filter(({ right }) => removed.includes(right))
    .map(({ right, why }) => `without ${right}: ${why}`)
  if (whys.length === 0) return { code, message: ACCOUNT_REASONS[code] }
  return { code: guideCode, message: [ACCOUNT_REASONS[guideCode], ...whys].join('; ') }
}

function isPresent<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null
}
