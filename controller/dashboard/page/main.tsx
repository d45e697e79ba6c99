// The page: signs in, then shows the view that the address names.

import { Component, type ComponentChildren, render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { WhoAmI } from '../../../shared/contract/operators.ts'
import { type ApiError, createApi } from './api.ts'
import { createExplanations } from './explanations.ts'
import { asApiError } from './hooks.ts'
import { createHub } from './hub.ts'
import { createNodesStore } from './nodes.ts'
import { Failure, Waiting } from './parts/text.tsx'
import { type Session, SessionContext, tokenInTab } from './session.ts'
import { Shell } from './shell.tsx'
import { SignIn } from './views/sign-in.tsx'

type State =
  | { readonly kind: 'asking' }
  | { readonly kind: 'signed-out'; readonly error?: ApiError }
  | { readonly kind: 'signed-in'; readonly session: Session }

function Page() {
  const [state, setState] = useState<State>({ kind: 'asking' })
  const [message, setMessage] = useState('')

  const signOut = (error?: ApiError) => {
    tokenInTab.forget()
    setState(last => {
      if (last.kind === 'signed-in') close(last.session)
      return { kind: 'signed-out', ...(error === undefined ? {} : { error }) }
    })
  }
  const signIn = async (token: string | undefined): Promise<void> => {
    let isIn = false
    const onRefused = (error: ApiError) => {
      if (isIn) signOut(error)
    }
    const api = createApi({ token, fetch: (...request) => fetch(...request), onRefused })
    const me = await api.get<WhoAmI>('/v1/whoami')
    if (token !== undefined) tokenInTab.write(token)
    isIn = true
    const hub = createHub(api, {
      isHidden: () => document.hidden,
      pause,
      // A proxy may keep a stream to itself.
      patience: () => pause(PATIENCE_MS),
    })
    const nodes = createNodesStore(api, hub, pause)
    const explanations = createExplanations(api)
    const steady = { signOut: () => signOut(), announce: setMessage }
    const session = { api, hub, nodes, explanations, me, ...steady }
    setState({ kind: 'signed-in', session })
  }
  useEffect(() => {
    const token = tokenInTab.read()
    // Without a token the browser may have a client certificate.
    signIn(token).catch((error: unknown) => {
      const refused = asApiError(error)
      if (refused.status === 401) tokenInTab.forget()
      // Nothing was shown to the controller, and nobody has asked for anything yet.
      const isFirst = token === undefined && refused.code === 'unauthenticated'
      setState({ kind: 'signed-out', ...(isFirst ? {} : { error: refused }) })
    })
  }, [])

  return (
    <>
      {state.kind === 'asking' ? <Waiting what="Asking the controller" /> : null}
      {state.kind === 'signed-out' ? <SignIn onToken={signIn} error={state.error} /> : null}
      {state.kind === 'signed-in' ? (
        <SessionContext.Provider value={state.session}>
          <Shell />
        </SessionContext.Provider>
      ) : null}
      <div class="unseen" role="status" aria-live="polite">
        {message}
      </div>
    </>
  )
}

const PATIENCE_MS = 1_000

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}

function close({ hub, nodes }: Session): void {
  nodes.close()
  hub.close()
}

/** A fault of ours, or a page that is older than the controller that answers it. */
class Boundary extends Component<
  { readonly children: ComponentChildren },
  { readonly fault?: unknown }
> {
  override state: { readonly fault?: unknown } = {}
  static override getDerivedStateFromError(fault: unknown) {
    return { fault }
  }
  override render() {
    if (this.state.fault === undefined) return this.props.children
    return (
      <main class="fault">
        <Failure error={asApiError(this.state.fault)} attempt="The page has failed" />
        <button type="button" class="button primary" onClick={() => location.reload()}>
          Load it anew
        </button>
      </main>
    )
  }
}

const root = document.getElementById('page')
if (root !== null)
  render(
    <Boundary>
      <Page />
    </Boundary>,
    root,
  )
