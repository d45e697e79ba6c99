// Where test/support/acme-child.ts ends its process.

/**
 * `ordered`: the order is placed and written down. `presented`: its record is in the DNS. `signed`: the
 * certificate is there, and settled is nothing.
 */
export const KILL_POINTS = ['ordered', 'presented', 'signed'] as const
