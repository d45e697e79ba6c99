// What codes mean, asked for when somebody wants to know, and once for each code.

import type { ReasonExplained } from '../../../shared/contract/reasons.ts'
import type { Api } from './api.ts'

export interface Explanations {
  of(code: string): Promise<ReasonExplained>
}

export function createExplanations(api: Pick<Api, 'get'>): Explanations {
  const known = new Map<string, Promise<ReasonExplained>>()
  return {
    of(code) {
      const before = known.get(code)
      if (before !== undefined) return before
      const asked = api.get<ReasonExplained>(`/v1/reasons/${encodeURIComponent(code)}`)
      known.set(code, asked)
      // What was not answered is asked for again.
      asked.catch(() => known.delete(code))
      return asked
    },
  }
}

/** Links to pages of the documentation become their names: the controller does not serve those pages. */
export function withoutLinks(markdown: string): string {
  return markdown.replaceAll(/\[([^\]]+)\]\(([^)]+)\)/g, '$1 (docs/$2)')
}

interface Box {
  readonly top: number
  readonly bottom: number
  readonly left: number
}

const MARGIN_PX = 8

/** Below what it explains where there is room, else above it; never outside of the window. In CSS pixels. */
export function placeBeside(
  anchor: Box,
  size: { readonly width: number; readonly height: number },
  room: { readonly width: number; readonly height: number },
): { readonly top: number; readonly left: number } {
  const below = anchor.bottom + MARGIN_PX
  const above = anchor.top - MARGIN_PX - size.height
  const isBelow = below + size.height <= room.height - MARGIN_PX || above < MARGIN_PX
  const topMax = room.height - size.height - MARGIN_PX
  const leftMax = room.width - size.width - MARGIN_PX
  return {
    top: Math.max(MARGIN_PX, Math.min(isBelow ? below : above, topMax)),
    left: Math.max(MARGIN_PX, Math.min(anchor.left, leftMax)),
  }
}
