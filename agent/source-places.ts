// Where a file really is. Tools keep pairs behind symlinks and switch those (certbot's live/ leads to
// archive/), or write where they lead to: both must be watched.

import { posix } from 'node:path'
import type { Files } from './host.ts'

// As many as the kernel follows.
const LINKS_MAX = 40

/** The path itself, every symlink on its way, and where the way ends. */
export async function placesOf(
  files: Pick<Files, 'readLink'>,
  path: string,
): Promise<readonly string[]> {
  const links: string[] = []
  let walked = '/'
  let rest = partsOf(path)
  for (;;) {
    const [part, ...more] = rest
    // A ring leads nowhere; its links are all that there is to watch.
    if (part === undefined || links.length > LINKS_MAX) break
    const next = posix.join(walked, part)
    const target = part === '..' ? undefined : await files.readLink(next)
    if (target === undefined) {
      walked = next
      rest = more
      continue
    }
    links.push(next)
    if (target.startsWith('/')) walked = '/'
    rest = [...partsOf(target), ...more]
  }
  return [...new Set([path, ...links, walked])]
}

function partsOf(path: string): readonly string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}
