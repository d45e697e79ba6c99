// The transcript of scenario.ts. Written anew from the real systemd by
// `TLSFLEET_GOLDEN=write node test/lab/systemctl.test.ts`.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const GOLDEN = join(import.meta.dirname, 'golden/systemctl-252.txt')

export function golden(): string {
  return readFileSync(GOLDEN, 'utf8')
}
