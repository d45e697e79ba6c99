import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Sign } from './icons.tsx'

// While somebody types, the list follows at this distance.
const PAUSE_MS = 120

/** A field above a list. `/` goes to it from anywhere, Escape empties it. */
export function FilterField({
  value,
  label,
  placeholder,
  onValue,
}: {
  value: string
  label: string
  placeholder: string
  onValue: (value: string) => void
}) {
  const [text, setText] = useState(value)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const input = useRef<HTMLInputElement>(null)
  const told = useRef(value)
  // Set elsewhere, by a tile or by going back. What comes back of what was told is older than what was typed
  // since.
  useLayoutEffect(() => {
    if (value === told.current) return
    told.current = value
    setText(value)
  }, [value])
  const tell = (next: string, pauseMs: number) => {
    setText(next)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => {
      told.current = next.trim()
      onValue(told.current)
    }, pauseMs)
  }
  // From the moment that it is there.
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof Element && event.target.matches('input, select')
      if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey) return
      event.preventDefault()
      input.current?.focus()
    }
    window.addEventListener('keydown', onKey)
    return () => {
      window.removeEventListener('keydown', onKey)
      clearTimeout(timer.current)
    }
  }, [])
  return (
    <label class="filter">
      <Sign name="search" />
      <span class="unseen">{label}</span>
      <input
        ref={input}
        type="search"
        value={text}
        placeholder={placeholder}
        autocomplete="off"
        spellcheck={false}
        onInput={event => tell(event.currentTarget.value, PAUSE_MS)}
        onKeyDown={event => {
          if (event.key === 'Escape') tell('', 0)
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </label>
  )
}
