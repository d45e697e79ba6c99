// Bundles the page: one script, one style sheet, no chunk and nothing from elsewhere. Its inputs
// decide its bytes, so packages stay reproducible.

import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import type { Asset } from './assets.ts'

const PROJECT = dirname(dirname(import.meta.dirname))
const PAGE = join(import.meta.dirname, 'page')

export interface BuiltAssets {
  readonly assets: readonly Asset[]
  /** Sources, relative to the project: which packages are in it. */
  readonly inputs: readonly string[]
}

export async function buildAssets(): Promise<BuiltAssets> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: PROJECT,
    entryPoints: {
      page: join(PAGE, 'main.tsx'),
      style: join(PAGE, 'style/page.css'),
    },
    outdir: '/dashboard',
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'browser',
    // What the long-term browsers of 2025 have.
    target: ['chrome120', 'firefox128', 'safari17'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    metafile: true,
    logLevel: 'silent',
  })
  const built = outputFiles.map(({ path, text }) => ({
    path: path.replaceAll('\\', '/'),
    type: path.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8',
    text,
  }))
  const assets = [
    {
      path: '/',
      type: 'text/html; charset=utf-8',
      text: await readFile(join(PAGE, 'page.html'), 'utf8'),
    },
    ...built,
    {
      path: '/dashboard/icon.svg',
      type: 'image/svg+xml',
      text: await readFile(join(PAGE, 'icon.svg'), 'utf8'),
    },
  ]
  return { assets, inputs: Object.keys(metafile.inputs) }
}
