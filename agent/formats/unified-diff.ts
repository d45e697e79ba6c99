// A unified diff for people. Only the lines between the common start and the common end are compared,
// so the size of the file costs next to nothing.

export interface DiffOptions {
  readonly path: string
  readonly contextLines?: number
}

/** Empty when the texts are equal. Carriage returns count as a difference but are not shown. */
export function unifiedDiff(
  before: string,
  after: string,
  { path, contextLines = 3 }: DiffOptions,
): string {
  if (before === after) return ''
  const frame = commonFrame(before, after, contextLines)
  const lines = alignLines(
    splitLines(before.slice(frame.start, before.length - frame.tail)),
    splitLines(after.slice(frame.start, after.length - frame.tail)),
  )
  const hunks = splitHunks(lines, contextLines).map(hunk => formatHunk(hunk, frame.linesBefore))
  return `--- ${path}\n+++ ${path}\n${hunks.join('')}`
}

interface Line {
  readonly kind: 'same' | 'removed' | 'added'
  /** With its line end. */
  readonly text: string
}

interface Hunk {
  readonly lines: readonly Line[]
  /** Lines of either text above the hunk. */
  readonly oldAbove: number
  readonly newAbove: number
}

/** Cuts off all lines that both texts begin and end with, but for the context. */
function commonFrame(
  before: string,
  after: string,
  contextLines: number,
): { start: number; tail: number; linesBefore: number } {
  const limit = Math.min(before.length, after.length)
  let start = 0
  while (start < limit && before.charCodeAt(start) === after.charCodeAt(start)) start++
  let tail = 0
  const isSameAtEnd = (count: number) =>
    before.charCodeAt(before.length - 1 - count) === after.charCodeAt(after.length - 1 - count)
  while (tail < limit - start && isSameAtEnd(tail)) tail++

  for (let line = 0; line <= contextLines && start > 0; line++) {
    start = before.lastIndexOf('\n', line === 0 ? start - 1 : start - 2) + 1
  }
  let end = before.length - tail
  // A line that ends right where the common end begins is complete only with its newline.
  for (let line = 0; line <= contextLines && end < before.length; line++) {
    const newline = before.indexOf('\n', end)
    end = newline < 0 ? before.length : newline + 1
  }
  let linesBefore = 0
  for (let at = before.indexOf('\n'); at >= 0 && at < start; at = before.indexOf('\n', at + 1)) {
    linesBefore++
  }
  return { start, tail: before.length - end, linesBefore }
}

function splitLines(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

// Texts that differ in more lines than this are not worth a minimal diff; its cost is the square.
const DIFFERENCES_MAX = 1000

/** Myers' O(ND): the shortest way from one list of lines to the other. */
function alignLines(before: readonly string[], after: readonly string[]): readonly Line[] {
  const head = countSame(before, after, 0)
  const foot = Math.min(countSameAtEnd(before, after), Math.min(before.length, after.length) - head)
  const oldLines = before.slice(head, before.length - foot)
  const newLines = after.slice(head, after.length - foot)
  return [
    ...before.slice(0, head).map(same),
    ...(shortestScript(oldLines, newLines) ?? [...oldLines.map(removed), ...newLines.map(added)]),
    ...before.slice(before.length - foot).map(same),
  ]
}

const same = (text: string): Line => ({ kind: 'same', text })
const removed = (text: string): Line => ({ kind: 'removed', text })
const added = (text: string): Line => ({ kind: 'added', text })

function countSame(before: readonly string[], after: readonly string[], from: number): number {
  let count = from
  while (count < before.length && count < after.length && before[count] === after[count]) count++
  return count
}

function countSameAtEnd(before: readonly string[], after: readonly string[]): number {
  let count = 0
  const limit = Math.min(before.length, after.length)
  while (count < limit && before.at(-1 - count) === after.at(-1 - count)) count++
  return count
}

function shortestScript(
  before: readonly string[],
  after: readonly string[],
): readonly Line[] | undefined {
  const max = Math.min(before.length + after.length, DIFFERENCES_MAX)
  // reach.get(k): how far into `before` a path on the diagonal k gets with the steps so far.
  let reach = new Map([[1, 0]])
  const history: Map<number, number>[] = []
  for (let steps = 0; steps <= max; steps++) {
    history.push(reach)
    const next = new Map<number, number>()
    for (let k = -steps; k <= steps; k += 2) {
      const down = reach.get(k + 1) ?? -1
      const right = reach.get(k - 1) ?? -1
      let x = k === -steps || (k !== steps && right < down) ? down : right + 1
      while (x < before.length && x - k < after.length && before[x] === after[x - k]) x++
      next.set(k, x)
      if (x >= before.length && x - k >= after.length) {
        return walkBack(before, after, history)
      }
    }
    reach = next
  }
  return undefined
}

function walkBack(
  before: readonly string[],
  after: readonly string[],
  history: readonly Map<number, number>[],
): readonly Line[] {
  const lines: Line[] = []
  let x = before.length
  let y = after.length
  for (let steps = history.length - 1; steps >= 0; steps--) {
    const reach = history[steps] ?? new Map<number, number>()
    const k = x - y
    const down = reach.get(k + 1) ?? -1
    const right = reach.get(k - 1) ?? -1
    const isDown = k === -steps || (k !== steps && right < down)
    const fromX = isDown ? down : right
    const fromY = fromX - (isDown ? k + 1 : k - 1)
    while (x > fromX + (isDown ? 0 : 1) && y > fromY + (isDown ? 1 : 0)) {
      x--
      y--
      lines.push(same(before[x] ?? ''))
    }
    if (steps === 0) break
    lines.push(isDown ? added(after[fromY] ?? '') : removed(before[fromX] ?? ''))
    x = fromX
    y = fromY
  }
  return lines.reverse()
}

function splitHunks(lines: readonly Line[], contextLines: number): readonly Hunk[] {
  const changed = lines.flatMap((line, index) => (line.kind === 'same' ? [] : [index]))
  const ranges: { start: number; end: number }[] = []
  for (const index of changed) {
    const start = Math.max(0, index - contextLines)
    const end = Math.min(lines.length, index + contextLines + 1)
    const previous = ranges.at(-1)
    if (previous !== undefined && start <= previous.end) previous.end = end
    else ranges.push({ start, end })
  }
  const hunks: Hunk[] = []
  let at = 0
  let oldAbove = 0
  let newAbove = 0
  for (const { start, end } of ranges) {
    for (; at < start; at++) {
      oldAbove++
      newAbove++
    }
    const hunk = lines.slice(start, end)
    hunks.push({ lines: hunk, oldAbove, newAbove })
    oldAbove += hunk.filter(line => line.kind !== 'added').length
    newAbove += hunk.filter(line => line.kind !== 'removed').length
    at = end
  }
  return hunks
}

function formatHunk({ lines, oldAbove, newAbove }: Hunk, linesBefore: number): string {
  const oldCount = lines.filter(line => line.kind !== 'added').length
  const newCount = lines.filter(line => line.kind !== 'removed').length
  const oldRange = formatRange(linesBefore + oldAbove, oldCount)
  const newRange = formatRange(linesBefore + newAbove, newCount)
  return `@@ -${oldRange} +${newRange} @@\n${lines.map(formatLine).join('')}`
}

/** An empty range names the line above it, a range of one line leaves its length out. */
function formatRange(above: number, count: number): string {
  if (count === 0) return `${above},0`
  return count === 1 ? `${above + 1}` : `${above + 1},${count}`
}

const MARKS = { same: ' ', removed: '-', added: '+' } as const

function formatLine({ kind, text }: Line): string {
  const mark = MARKS[kind]
  if (!text.endsWith('\n'))
    return `${mark}${text.replace(/\r$/, '')}\n\\ No newline at end of file\n`
  return `${mark}${text.replace(/\r?\n$/, '')}\n`
}
