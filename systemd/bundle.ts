// Builds what ships: each program as plain JavaScript, what it loads late in files of its own. Types
// are stripped here once and not at every start, which saves the agent memory and time.

import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { buildAssets } from '../controller/dashboard/build.ts'
import { lazyBuiltins } from './builtins.ts'

const PROJECT = dirname(import.meta.dirname)

export const PROGRAMS = {
  'tlsfleet-agent': 'agent/main.ts',
  'tlsfleet-controller': 'controller/main.ts',
  tlsfleet: 'controller/cli/main.ts',
} as const
export type Program = keyof typeof PROGRAMS
export const PROGRAM_NAMES: readonly Program[] = [
  'tlsfleet-agent',
  'tlsfleet-controller',
  'tlsfleet',
]

/** `directory/PROGRAM.mjs` for each program, the chunks that it loads, and maps for reading stacks. */
export async function bundle(directory: string): Promise<void> {
  rmSync(directory, { recursive: true, force: true })
  // Each for itself: chunks that the agent shares with others would hold more than it needs.
  await Promise.all(PROGRAM_NAMES.map(program => bundleProgram(directory, program)))
}

/** Says which of npm's packages are in it. `version`: for a package, what it calls itself. */
export async function bundleProgram(
  directory: string,
  program: Program,
  version?: string,
): Promise<ReadonlySet<string>> {
  const page = builtPage()
  const { metafile } = await build({
    absWorkingDir: PROJECT,
    entryPoints: [{ in: PROGRAMS[program], out: program }],
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Packages written for the other module system ask for this.
    banner: {
      js: "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);",
    },
    plugins: [
      lazyBuiltins,
      page.plugin,
      ...(version === undefined ? [] : [calledVersion(version)]),
    ],
    legalComments: 'none',
    // The engine keeps the text of all that it has loaded: 1 MiB less of it in the agent.
    minify: true,
    // Packages have no maps: with them, names of chunks would depend on where the checkout is.
    sourcemap: version === undefined ? 'external' : false,
    metafile: true,
    logLevel: 'warning',
  })
  return new Set(
    [...Object.keys(metafile.inputs), ...page.inputs].flatMap(path => {
      const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? []
      return name === undefined ? [] : [name]
    }),
  )
}

/** The dashboard is in what ships as text: where it runs there is no esbuild, and no file to be found. */
function builtPage(): { readonly plugin: Plugin; readonly inputs: string[] } {
  const inputs: string[] = []
  const plugin: Plugin = {
    name: 'built-page',
    setup: build =>
      build.onLoad({ filter: /\/controller\/dashboard\/assets\.ts$/ }, async () => {
        const page = await buildAssets()
        inputs.push(...page.inputs)
        return { contents: `export const loadAssets = async () => ${JSON.stringify(page.assets)}` }
      }),
  }
  return { plugin, inputs }
}

/** Both sides keep their version in a file of this name. */
function calledVersion(version: string): Plugin {
  const text = JSON.stringify(version)
  return {
    name: 'called-version',
    setup: build =>
      build.onLoad({ filter: /\/(agent|controller)\/version\.ts$/ }, () => ({
        contents: `export const AGENT_VERSION = ${text}, VERSION = ${text}`,
      })),
  }
}

if (import.meta.main) await bundle(join(PROJECT, 'dist'))
