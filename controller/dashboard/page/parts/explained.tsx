// A code that explains itself: pressed, it says what it means anywhere and what to do, beside it and above
// everything else. The browser closes it on Escape and on a click elsewhere, and gives the focus back.

import type { ComponentChildren } from 'preact'
import { useContext, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { ReasonExplained } from '../../../../shared/contract/reasons.ts'
import type { ApiError } from '../api.ts'
import { placeBeside, withoutLinks } from '../explanations.ts'
import { asApiError, useId } from '../hooks.ts'
import { SessionContext, useSession } from '../session.ts'

/** `tabIndex`: of lists in which only the chosen row is reached by Tab. */
export function Code({ code, tabIndex }: { code: string; tabIndex?: number | undefined }) {
  const session = useContext(SessionContext)
  const [anchor, setAnchor] = useState<DOMRect>()
  // Who is not signed in can ask for nothing.
  if (session === undefined) return <code>{code}</code>
  return (
    <>
      <button
        type="button"
        class="code"
        title="What it means, and what to do"
        aria-haspopup="dialog"
        {...(tabIndex === undefined ? {} : { tabIndex })}
        onClick={event => setAnchor(event.currentTarget.getBoundingClientRect())}
      >
        <code>{code}</code>
      </button>
      {anchor === undefined ? null : (
        <Explanation code={code} anchor={anchor} onClose={() => setAnchor(undefined)} />
      )}
    </>
  )
}

function Explanation({
  code,
  anchor,
  onClose,
}: {
  code: string
  anchor: DOMRect
  onClose: () => void
}) {
  const box = useRef<HTMLDivElement>(null)
  const id = useId()
  const { explained, error } = useExplained(code)
  useEffect(() => {
    box.current?.showPopover()
    box.current?.focus()
  }, [])
  // Its height is known when its text is.
  useLayoutEffect(() => {
    const element = box.current
    if (element === null) return
    const { innerWidth: width, innerHeight: height } = window
    const size = { width: element.offsetWidth, height: element.offsetHeight }
    const { top, left } = placeBeside(anchor, size, { width, height })
    element.style.top = `${top}px`
    element.style.left = `${left}px`
  })
  return (
    <div
      ref={box}
      popover="auto"
      role="dialog"
      aria-labelledby={id}
      tabIndex={-1}
      class="explained"
      onToggle={event => {
        if (event.newState === 'closed') onClose()
      }}
    >
      <p id={id} class="explained-code">
        <code>{code}</code>
      </p>
      <div aria-live="polite">
        {explained === undefined && error === undefined ? <p class="muted">Asking…</p> : null}
        {error === undefined ? null : <p>{unexplained(error)}</p>}
        {explained === undefined ? null : (
          <dl>
            <dt>What it means</dt>
            <dd>{coded(explained.meaning)}</dd>
            <dt>What to do</dt>
            <dd>{coded(explained.action)}</dd>
          </dl>
        )}
      </div>
    </div>
  )
}

function useExplained(code: string) {
  const { explanations } = useSession()
  const [state, setState] = useState<{
    readonly explained?: ReasonExplained
    readonly error?: ApiError
  }>({})
  useEffect(() => {
    let isShown = true
    explanations.of(code).then(
      explained => isShown && setState({ explained }),
      (error: unknown) => isShown && setState({ error: asApiError(error) }),
    )
    return () => {
      isShown = false
    }
  }, [code])
  return state
}

function unexplained({ status, message }: ApiError): string {
  return status === 404 ? 'There is no more to say about this code.' : `Not explained: ${message}`
}

/** With `code` parts between backticks. */
export function coded(markdown: string): ComponentChildren {
  return withoutLinks(markdown)
    .split('`')
    .map((part, index) => (index % 2 === 0 ? part : <code>{part}</code>))
}
