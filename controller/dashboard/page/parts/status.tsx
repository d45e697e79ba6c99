// A state as operators see it: shape, colour, word.

import type { Word } from '../words.ts'
import { ShapeIcon } from './icons.tsx'

export function Status({ word, plain = false }: { word: Word; plain?: boolean }) {
  return (
    <span class={`status tone-${word.tone}${plain ? '' : ' chip'}`} title={word.meaning}>
      <ShapeIcon shape={word.shape} />
      <span>{word.label}</span>
    </span>
  )
}

export interface Segment {
  readonly word: Word
  readonly value: number
}

/** Parts of a whole as one bar. What it shows is told in words beside it, or by `label`. */
export function Meter({ segments, label }: { segments: readonly Segment[]; label: string }) {
  const shown = segments.filter(({ value }) => value > 0)
  return (
    <span class="meter" role="img" aria-label={label}>
      {shown.map(({ word, value }) => (
        <span
          key={word.label}
          class={`fill tone-${word.tone} fill-${word.shape}`}
          style={{ flexGrow: value }}
          title={`${value} ${word.label.toLowerCase()}`}
        />
      ))}
    </span>
  )
}

/** The parts of a bar in words, each with its shape. */
export function Legend({ segments }: { segments: readonly Segment[] }) {
  return (
    <ul class="legend">
      {segments
        .filter(({ value }) => value > 0)
        .map(({ word, value }) => (
          <li key={word.label} class={`tone-${word.tone}`}>
            <ShapeIcon shape={word.shape} />
            <b>{value.toLocaleString('en')}</b> {word.label.toLowerCase()}
          </li>
        ))}
    </ul>
  )
}
