// Asks before something is done: what will happen, why it is done (for the audit log), and what went
// wrong where it did. One intent has one idempotency key, so sending it again does it once.

import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { ApiError } from '../api.ts'
import { asApiError, useId } from '../hooks.ts'
import { Failure } from './text.tsx'

export interface Question {
  readonly title: string
  readonly effect: string
  readonly action: string
  readonly isGrave: boolean
  /** Given where it is known: it goes into the audit log. */
  readonly act: (reason: string | undefined, idempotencyKey: string) => Promise<void>
}

export function Confirm({ question, onClose }: { question: Question; onClose: () => void }) {
  const { title, effect, action, isGrave, act } = question
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  const [reason, setReason] = useState('')
  const [error, setError] = useState<ApiError>()
  const [isBusy, setBusy] = useState(false)
  const [key] = useState(() => crypto.randomUUID())
  // Shown by the browser as modal: it keeps the focus inside and gives it back. At once: what is typed
  // before it is shown would go to the button that has asked for it.
  useLayoutEffect(() => {
    const element = dialog.current
    element?.showModal()
    return () => element?.close()
  }, [])
  const submit = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      await act(reason.trim() === '' ? undefined : reason.trim(), key)
      onClose()
    } catch (thrown) {
      setError(asApiError(thrown))
      setBusy(false)
    }
  }
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose}>
      <form onSubmit={event => void submit(event)}>
        <h2 id={id}>{title}</h2>
        <p>{effect}</p>
        <label class="field">
          <span>Reason, for the audit log</span>
          <input
            value={reason}
            maxLength={500}
            autocomplete="off"
            placeholder="optional"
            onInput={event => setReason(event.currentTarget.value)}
          />
        </label>
        {error === undefined ? null : <Failure error={error} attempt="Not done" />}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class={`button ${isGrave ? 'grave' : 'primary'}`} disabled={isBusy}>
            {isBusy ? 'Asking…' : action}
          </button>
        </div>
      </form>
    </dialog>
  )
}

/** A button that says why it cannot be pressed instead of hiding; it stays reachable by keyboard. */
export function VerbButton({
  label,
  refused,
  isGrave = false,
  isSmall = false,
  tabIndex,
  onPress,
}: {
  label: string
  refused: string | undefined
  isGrave?: boolean
  isSmall?: boolean
  tabIndex?: number
  onPress: () => void
}) {
  const id = useId()
  return (
    <span class="verb">
      <button
        type="button"
        class={`button${isGrave ? ' grave-quiet' : ''}${isSmall ? ' small' : ''}`}
        aria-disabled={refused !== undefined}
        aria-describedby={refused === undefined ? undefined : id}
        title={refused}
        {...(tabIndex === undefined ? {} : { tabIndex })}
        onClick={() => {
          if (refused === undefined) onPress()
        }}
      >
        {label}
      </button>
      {refused === undefined ? null : (
        <span id={id} class="unseen">
          {refused}
        </span>
      )}
    </span>
  )
}
