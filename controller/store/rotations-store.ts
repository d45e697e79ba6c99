// Rotations: how one CA or issuer follows another. The events are the truth.

import type { Rotation, RotationEvent } from '../rotation/rotation.ts'

export interface StoredRotationEvent {
  readonly version: number
  readonly event: RotationEvent
}

export interface Rotations {
  /** Fails with `rotation-open` while one has not ended: two at once could undo each other's trust. */
  insert(id: string, created: RotationEvent): Promise<Rotation>
  get(id: string): Promise<Rotation | undefined>
  /** The one that has not ended. */
  open(): Promise<Rotation | undefined>
  /** Newest first, older than `before`. */
  list(page: { readonly before?: string; readonly limit: number }): Promise<readonly Rotation[]>
  /** Oldest first. */
  events(id: string): Promise<readonly StoredRotationEvent[]>
  /**
   * Appends with an expected version; throws `version-conflict` (retryable) when somebody was first.
   * Each event is also an audit entry.
   */
  append(id: string, expectedVersion: number, events: readonly RotationEvent[]): Promise<Rotation>
}
