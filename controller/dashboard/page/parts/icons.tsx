// Shapes of states and signs of the navigation, 16 by 16, in the colour of the text around them.

import type { JSX } from 'preact'
import type { Shape } from '../words.ts'

function Icon({ children, name }: { children: JSX.Element; name: string }) {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 16 16" aria-hidden="true">
      {children}
    </svg>
  )
}

const ring = <circle cx="8" cy="8" r="6.25" />
const SHAPES = {
  check: (
    <g>
      <circle class="solid" cx="8" cy="8" r="7" />
      <path class="cut" d="M4.8 8.3l2.2 2.2 4.3-4.7" />
    </g>
  ),
  half: (
    <g>
      {ring}
      <path class="solid" d="M8 4.2a3.8 3.8 0 0 1 0 7.6z" />
    </g>
  ),
  clock: (
    <g>
      {ring}
      <path d="M8 4.5V8l2.4 1.6" />
    </g>
  ),
  triangle: (
    <g>
      <path class="solid" d="M8 1.2l7 12.9H1z" />
      <path class="cut" d="M8 6v3.6M8 11.7v.1" />
    </g>
  ),
  cross: (
    <g>
      <path class="solid" d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z" />
      <path class="cut" d="M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8" />
    </g>
  ),
  slash: (
    <g>
      {ring}
      <path d="M3.7 12.3l8.6-8.6" />
    </g>
  ),
  lock: (
    <g>
      <rect class="solid" x="2.5" y="7" width="11" height="7.5" rx="1.5" />
      <path d="M5 7V4.8a3 3 0 0 1 6 0V7" />
    </g>
  ),
  dots: <circle cx="8" cy="8" r="6.25" stroke-dasharray="1.7 2.23" />,
  dash: (
    <g>
      {ring}
      <path d="M5 8h6" />
    </g>
  ),
  question: (
    <g>
      {ring}
      <path d="M6.2 6.3a1.9 1.9 0 1 1 2.7 1.8c-.6.3-.9.7-.9 1.3M8 11.5v.1" />
    </g>
  ),
  back: (
    <g>
      <path d="M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6" />
      <path d="M5.8 3.5l-3 3 3 3" />
    </g>
  ),
  pause: (
    <g>
      {ring}
      <path d="M6.4 5.7v4.6M9.6 5.7v4.6" />
    </g>
  ),
} as const satisfies Record<Shape, JSX.Element>

export function ShapeIcon({ shape }: { shape: Shape }) {
  return <Icon name={shape}>{SHAPES[shape]}</Icon>
}

const SIGNS = {
  fleet: <path d="M2.5 2.5h4v4h-4zM9.5 2.5h4v4h-4zM2.5 9.5h4v4h-4zM9.5 9.5h4v4h-4z" />,
  certificates: (
    <g>
      <path d="M6.5 11H3a1 1 0 0 1-1-1V3.5a1 1 0 0 1 1-1h10a1 1 0 0 1 1 1V6M4.5 5.5h6M4.5 8h2.5" />
      <circle cx="11" cy="9.5" r="2.3" />
      <path d="M9.7 11.5V15l1.3-.9 1.3.9v-3.5" />
    </g>
  ),
  rollouts: <path d="M2 12.5l3.7-4 2.8 2.5L14 4.5M10.2 4.5H14v3.8" />,
  rotations: (
    <path d="M13.5 8a5.5 5.5 0 0 1-9.8 3.4M2.5 8a5.5 5.5 0 0 1 9.8-3.4M12.5 1.7v3h-3M3.5 14.3v-3h3" />
  ),
  groups: (
    <g>
      <circle cx="8" cy="4" r="2" />
      <circle cx="3.7" cy="11.5" r="2" />
      <circle cx="12.3" cy="11.5" r="2" />
      <path d="M7 5.8l-2.3 4M9 5.8l2.3 4M5.7 11.5h4.6" />
    </g>
  ),
  audit: <path d="M3 2.5h10v11H3zM5.5 5.5h5M5.5 8h5M5.5 10.5h3" />,
  search: (
    <g>
      <circle cx="7" cy="7" r="4.5" />
      <path d="M10.5 10.5L14 14" />
    </g>
  ),
  leave: <path d="M6.5 2.5H3v11h3.5M6.5 8H14M11 5l3 3-3 3" />,
  close: <path d="M4 4l8 8M12 4l-8 8" />,
} as const
export type SignName = keyof typeof SIGNS

export function Sign({ name }: { name: SignName }) {
  return <Icon name={name}>{SIGNS[name]}</Icon>
}
