// What the store keeps for rollouts beside the rollouts themselves: their clock, and freezes.

import type { Selector } from '../fleet/selector.ts'

export interface ControllerTime {
  /** Milliseconds for which controllers have run; `version` is how often it was advanced. */
  get(): Promise<{ readonly timeMs: number; readonly version: number }>
  /** Compare and set: false when somebody else has advanced it since. Never goes back. */
  advance(expectedVersion: number, timeMs: number): Promise<boolean>
}

export interface FreezeRecord {
  readonly name: string
  /** Which nodes; a rollout with one of them is paused. */
  readonly scope: Selector
  readonly reason: string
  readonly actor: string
  readonly atMs: number
}

export interface Freezes {
  /** One of this name is replaced. */
  put(freeze: FreezeRecord): Promise<void>
  /** False: there is none of this name. */
  remove(name: string): Promise<boolean>
  /** By name; a part of them, when a page is asked for. */
  list(page?: { readonly after?: string; readonly limit: number }): Promise<readonly FreezeRecord[]>
}
