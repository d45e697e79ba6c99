// Is a text an IP address?

import { isIPv4, isIPv6 } from 'node:net'

/**
 * As `isIP` of node:net. A name without a colon is not held against the pattern for IPv6, which takes 7 ms
 * to compile, longer than most of what a plan does.
 */
export function ipVersion(text: string): 0 | 4 | 6 {
  if (text.includes(':')) return isIPv6(text) ? 6 : 0
  return isIPv4(text) ? 4 : 0
}
