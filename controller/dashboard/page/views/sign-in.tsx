import { useState } from 'preact/hooks'
import type { ApiError } from '../api.ts'
import { asApiError } from '../hooks.ts'
import { Failure } from '../parts/text.tsx'

export function SignIn({
  onToken,
  error: before,
}: {
  onToken: (token: string) => Promise<void>
  error: ApiError | undefined
}) {
  const [token, setToken] = useState('')
  const [error, setError] = useState(before)
  const [isBusy, setBusy] = useState(false)
  const submit = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    try {
      await onToken(token.trim())
    } catch (thrown) {
      setError(asApiError(thrown))
      setBusy(false)
    }
  }
  return (
    <main class="sign-in">
      <form class="card" onSubmit={event => void submit(event)}>
        <img src="/dashboard/icon.svg" alt="" width="44" height="44" />
        <h1>Sign in to tlsfleet</h1>
        <p class="muted">
          With an API token, or by a client certificate where your browser has one. An administrator
          makes tokens.
        </p>
        <label class="field">
          <span>API token</span>
          <input
            type="password"
            value={token}
            required
            // oxlint-disable-next-line jsx-a11y/no-autofocus
            autofocus
            autocomplete="off"
            spellcheck={false}
            placeholder="tlsf_…"
            onInput={event => setToken(event.currentTarget.value)}
          />
        </label>
        {error === undefined ? null : <Failure error={error} attempt="Not signed in" />}
        <button type="submit" class="button primary wide" disabled={isBusy}>
          {isBusy ? 'Asking…' : 'Sign in'}
        </button>
        <p class="muted small">It stays in this tab and is gone when the tab is closed.</p>
      </form>
    </main>
  )
}
