// How Elasticsearch sees that a file changed: by its time in milliseconds or its length, links
// followed. A change that leaves both is missed; what was seen once is not looked at again.

import { statSync } from 'node:fs'

export interface FileWatch {
  check(): void
}

export function watchFile(file: string, onChange: () => void): FileWatch {
  let last = stateOf(file)
  return {
    check: () => {
      const now = stateOf(file)
      if (now === last) return
      last = now
      onChange()
    },
  }
}

function stateOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat === undefined ? 'absent' : `${Math.floor(stat.mtimeMs)} ${stat.size}`
}
