// Which rows of a long list are in the document: those in sight and a few around them. Pure.

export interface Slice {
  readonly start: number
  /** Exclusive. */
  readonly end: number
  /** Height of what is left out, in pixels. */
  readonly abovePx: number
  readonly belowPx: number
}

export interface Sight {
  readonly rows: number
  readonly rowPx: number
  /** Of the list, how far its beginning is above the upper edge of what is in sight. */
  readonly scrolledPx: number
  readonly heightPx: number
}

// Enough for a flick of the wheel to find rows; the whole stays small.
const AROUND = 12
// Whatever the browser says about its height.
const ROWS_MAX = 160

export function sliceOf({ rows, rowPx, scrolledPx, heightPx }: Sight): Slice {
  const first = Math.floor(Math.max(0, scrolledPx) / rowPx)
  const inSight = Math.ceil(heightPx / rowPx) + 1
  const start = Math.max(0, Math.min(first, rows - inSight) - AROUND)
  const end = Math.min(rows, start + Math.min(inSight + 2 * AROUND, ROWS_MAX))
  return { start, end, abovePx: start * rowPx, belowPx: (rows - end) * rowPx }
}

/** Where a key takes the row that is chosen; undefined: the key has another meaning. */
export function moved(key: string, from: number, rows: number, page: number): number | undefined {
  const to = {
    ArrowDown: from + 1,
    ArrowUp: from - 1,
    PageDown: from + page,
    PageUp: from - page,
    Home: 0,
    End: rows - 1,
  }[key]
  return to === undefined ? undefined : Math.max(0, Math.min(rows - 1, to))
}
