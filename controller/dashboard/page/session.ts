// Who is signed in, and what every view works with.

import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { WhoAmI } from '../../../shared/contract/operators.ts'
import type { Api } from './api.ts'
import type { Explanations } from './explanations.ts'
import type { Hub } from './hub.ts'
import type { NodesStore } from './nodes.ts'

export interface Session {
  readonly api: Api
  readonly hub: Hub
  readonly nodes: NodesStore
  readonly explanations: Explanations
  readonly me: WhoAmI
  readonly signOut: () => void
  /** Says to everybody, also to those who do not see the page, how something went. */
  readonly announce: (message: string) => void
}

export const SessionContext = createContext<Session | undefined>(undefined)

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (session === undefined) throw new Error('only for who is signed in')
  return session
}

const TOKEN_KEY = 'tlsfleet-token'

/** Of this tab: see controller/api/dashboard.ts for why it is kept here. */
export const tokenInTab = {
  read: () => sessionStorage.getItem(TOKEN_KEY) ?? undefined,
  write: (token: string) => sessionStorage.setItem(TOKEN_KEY, token),
  forget: () => sessionStorage.removeItem(TOKEN_KEY),
}
