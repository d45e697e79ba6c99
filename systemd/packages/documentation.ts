// What packages bring for people at a terminal: manual pages, and what shells need to complete.

import { gzipSync } from 'node:zlib'
import { SHELLS, type Shell, completionScript } from '../../controller/cli/completion-scripts.ts'
import { MANUALS } from '../../docs/generate/manuals.ts'
import type { Program } from '../bundle.ts'
import type { FileEntry } from './tar.ts'

export interface Edition {
  readonly version: string
  /** Seconds since 1970: of the sources. */
  readonly epoch: number
}

/** As `gzip -n9`: neither name nor time, so the same text gives the same bytes. */
export function manualFile(program: Program, { version, epoch }: Edition): FileEntry {
  const { file, text } = MANUALS[program]
  const date = new Date(epoch * 1000).toISOString().slice(0, 10)
  const content = gzipSync(text({ version, date }), { level: 9 })
  return { path: `usr/share/man/${file}.gz`, mode: 0o644, content }
}

export function completionFiles(): readonly FileEntry[] {
  return SHELLS.map(shell => ({
    path: COMPLETIONS[shell],
    mode: 0o644,
    content: Buffer.from(completionScript(shell)),
  }))
}

const COMPLETIONS: Readonly<Record<Shell, string>> = {
  bash: 'usr/share/bash-completion/completions/tlsfleet',
  zsh: 'usr/share/zsh/vendor-completions/_tlsfleet',
  fish: 'usr/share/fish/vendor_completions.d/tlsfleet.fish',
}
