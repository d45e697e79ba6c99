// Builds what ships: each program as plain JavaScript, what it loads late in files of its own. Types
// are stripped here once and not at every start, which saves the agent memory and time.

import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'

const PROJECT = dirname(import.meta.dirname)

export const PROGRAMS = {
  'tlsfleet-agent': 'agent/main.ts',
  'tlsfleet-controller': 'controller/main.ts',
  tlsfleet: 'controller/cli/main.ts',
} as const

/** `directory/PROGRAM.mjs` for each program, and the chunks that they share. */
export async function bundle(directory: string): Promise<void> {
  rmSync(directory, { recursive: true, force: true })
  await build({
    absWorkingDir: PROJECT,
    entryPoints: Object.entries(PROGRAMS).map(([out, path]) => ({ in: path, out })),
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Packages written for the other module system ask for this.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    legalComments: 'none',
    logLevel: 'warning',
  })
}

if (import.meta.main) await bundle(join(PROJECT, 'dist'))
