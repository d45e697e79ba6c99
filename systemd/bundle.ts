// Builds what ships: each program as plain JavaScript, what it loads late in files of its own. Types
// are stripped here once and not at every start, which saves the agent memory and time.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { build, type BuildOptions, type OutputFile, type Plugin, transform } from 'esbuild'
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

/**
 * Of these, what the engine has compiled is kept whole, which is done for scripts only: an agent
 * is started for every look at a node.
 */
const LAUNCHED: ReadonlySet<Program> = new Set(['tlsfleet-agent'])

const REQUIRE =
  "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);"

const COMMON = {
  absWorkingDir: PROJECT,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  legalComments: 'none',
  // The engine keeps the text of all that it has loaded: 1 MiB less of it in the agent.
  minify: true,
  logLevel: 'warning',
} as const satisfies BuildOptions

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
  const isLaunched = LAUNCHED.has(program)
  const { metafile, outputFiles } = await build({
    ...COMMON,
    entryPoints: [{ in: PROGRAMS[program], out: program }],
    outdir: directory,
    outExtension: { '.js': isLaunched ? '.cjs' : '.mjs' },
    splitting: true,
    // Packages written for the other module system ask for this.
    banner: isLaunched ? {} : { js: REQUIRE },
    plugins: [
      lazyBuiltins,
      page.plugin,
      ...(version === undefined ? [] : [calledVersion(version)]),
    ],
    // Packages have no maps: with them, names of chunks would depend on where the checkout is.
    sourcemap: version !== undefined ? false : isLaunched ? 'inline' : 'external',
    metafile: true,
    write: false,
  })
  mkdirSync(directory, { recursive: true })
  if (isLaunched) await writeLaunched(directory, program, outputFiles)
  else for (const { path, contents } of outputFiles) writeFileSync(path, contents)
  return new Set(
    [...Object.keys(metafile.inputs), ...page.inputs].flatMap(path => {
      const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? []
      return name === undefined ? [] : [name]
    }),
  )
}

/** Modules as scripts, beside what starts them. */
async function writeLaunched(
  directory: string,
  program: Program,
  modules: readonly OutputFile[],
): Promise<void> {
  for (const { path, text } of modules) {
    const { code, map } = await transform(text, {
      sourcefile: basename(path),
      sourcemap: text.includes('\n//# sourceMappingURL=') ? 'external' : false,
      format: 'cjs',
      platform: COMMON.platform,
      target: COMMON.target,
      minify: true,
      // Of files beside it: the script's own way to them is the launcher's.
      supported: { 'dynamic-import': false },
    })
    writeFileSync(path, code.replace(/^#!.*\n/, ''))
    if (map !== '') writeFileSync(`${path}.map`, map)
  }
  const launcher = await build({
    ...COMMON,
    entryPoints: ['systemd/start/launch.ts'],
    outfile: join(directory, `${program}.mjs`),
    banner: { js: '#!/usr/bin/env node' },
    define: { PROGRAM: JSON.stringify(program), MAIN: JSON.stringify(`${program}.cjs`) },
    plugins: [lazyBuiltins],
    write: false,
  })
  for (const { path, contents } of launcher.outputFiles) writeFileSync(path, contents)
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
