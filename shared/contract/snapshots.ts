// What both sides know of snapshots: how long one may take at most. How long it really may, only the
// node knows.

/** 24 h: more of a service that still runs is a backup of its own, and not one that a change waits for. */
export const SNAPSHOT_MS_MAX = 86_400_000
