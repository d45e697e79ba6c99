// What a commit has changed, for whoever watches.

import type { WatchResource } from '../../shared/contract/watch.ts'

/** `credentials` are no resource to be watched: whoever watches with one is judged again. */
export interface Change {
  readonly resource: WatchResource | 'credentials'
  /** Of what has changed; undefined: of this resource anything may have. */
  readonly id: string | undefined
}
