// A long list of which only the part in sight is in the document. By keyboard: arrows, Page Up and
// Down, Home and End choose a row, Enter opens it, Tab goes on to what stands in the chosen row.

import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { useId } from '../hooks.ts'
import { moved, sliceOf } from '../window.ts'

export interface Column<R> {
  readonly title: string
  /** A track of the grid, for example `2fr` or `8rem`. */
  readonly width: string
  readonly cell: (row: R, isChosen: boolean) => ComponentChildren
  /** Left out where there is little room. */
  readonly isExtra?: boolean
}

export interface GridProps<R> {
  readonly label: string
  readonly rows: readonly R[]
  readonly columns: readonly Column<R>[]
  readonly keyOf: (row: R) => string
  /** Where Enter and a click lead. */
  readonly hrefOf?: (row: R) => string | undefined
  readonly empty: ComponentChildren
}

const ROW_PX = 44
const HEAD_PX = 36

export function Grid<R>({ label, rows, columns, keyOf, hrefOf, empty }: GridProps<R>) {
  const id = useId()
  const box = useRef<HTMLDivElement>(null)
  const [sight, setSight] = useState({ scrolledPx: 0, heightPx: 600 })
  const [chosenKey, setChosenKey] = useState<string>()
  const found = chosenKey === undefined ? -1 : rows.findIndex(row => keyOf(row) === chosenKey)
  const slice = sliceOf({ rows: rows.length, rowPx: ROW_PX, ...sight })
  const look = () => {
    const element = box.current
    if (element !== null)
      setSight({ scrolledPx: element.scrollTop, heightPx: element.clientHeight - HEAD_PX })
  }
  useLayoutEffect(look, [rows.length])
  useEffect(() => {
    window.addEventListener('resize', look)
    return () => window.removeEventListener('resize', look)
  }, [])
  const choose = (index: number) => {
    const row = rows[index]
    if (row === undefined) return
    setChosenKey(keyOf(row))
    const element = box.current
    if (element === null) return
    const top = index * ROW_PX
    const room = element.clientHeight - HEAD_PX
    if (top < element.scrollTop) element.scrollTop = top
    else if (top + ROW_PX > element.scrollTop + room) element.scrollTop = top + ROW_PX - room
    look()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== box.current) return
    const page = Math.max(1, Math.floor(sight.heightPx / ROW_PX) - 1)
    const to = moved(event.key, found, rows.length, page)
    const row = rows[found]
    const href = row === undefined ? undefined : hrefOf?.(row)
    if (to !== undefined) choose(to)
    else if (event.key === 'Enter' && href !== undefined) location.hash = href
    else return
    event.preventDefault()
  }
  const template = { gridTemplateColumns: columns.map(({ width }) => width).join(' ') }
  if (rows.length === 0) return <>{empty}</>
  return (
    <div
      ref={box}
      class="grid"
      role="grid"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      aria-activedescendant={
        found >= slice.start && found < slice.end ? `${id}-${found}` : undefined
      }
      tabIndex={0}
      onScroll={look}
      onKeyDown={onKeyDown}
      onFocus={event => {
        if (event.target === box.current && found < 0) choose(slice.start)
      }}
    >
      <div class="grid-row grid-head" role="row" aria-rowindex={1} style={template}>
        {columns.map(({ title, isExtra }) => (
          <span key={title} role="columnheader" class={isExtra === true ? 'extra' : ''}>
            {title}
          </span>
        ))}
      </div>
      <div role="rowgroup">
        <div class="grid-space" role="presentation" style={{ height: `${slice.abovePx}px` }} />
        {rows.slice(slice.start, slice.end).map((row, offset) => {
          const index = slice.start + offset
          const isChosen = index === found
          const href = hrefOf?.(row)
          return (
            // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
            <div
              key={keyOf(row)}
              id={`${id}-${index}`}
              class={`grid-row${href === undefined ? '' : ' is-link'}`}
              role="row"
              aria-rowindex={index + 2}
              aria-selected={isChosen}
              style={template}
              onClick={event => {
                setChosenKey(keyOf(row))
                if (href !== undefined && !(isControl(event.target) || isSelecting()))
                  location.hash = href
              }}
            >
              {columns.map(({ title, cell, isExtra }) => (
                <span key={title} role="gridcell" class={isExtra === true ? 'extra' : ''}>
                  {cell(row, isChosen)}
                </span>
              ))}
            </div>
          )
        })}
        <div class="grid-space" role="presentation" style={{ height: `${slice.belowPx}px` }} />
      </div>
    </div>
  )
}

// Links and buttons in a row do what they say.
function isControl(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('a, button, [popover]') !== null
}

function isSelecting(): boolean {
  return getSelection()?.type === 'Range'
}
