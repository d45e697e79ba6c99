// The web dashboard: four files, the same for everybody, without state and secrets. What they show
// comes from the routes that the command line uses, with the caller's own token.
//
// The page keeps that token in the tab (sessionStorage) and sends it as `Authorization`. A cookie would
// be sent by the browser itself: to every other port of this host, where products listen that tlsfleet
// looks after, and with requests that other pages cause, against which each route would need a defence.
// Storage of a tab belongs to this origin, port included, ends with the tab, and is sent by nobody else.
// What a cookie would keep from scripts is kept by the policy below: no script runs but ours, and no
// text becomes one (trusted types).

import { gzipSync } from 'node:zlib'
import { sha256 } from '../../shared/digest.ts'
import type { App } from './context.ts'

export const DASHBOARD_PATHS = [
  '/',
  '/dashboard/page.js',
  '/dashboard/style.css',
  '/dashboard/icon.svg',
] as const

export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

const HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  // Kept, and asked for with every load: an upgrade is seen at once.
  'cache-control': 'no-cache',
} as const

interface ServedAsset {
  readonly type: string
  readonly etag: string
  readonly plain: Buffer
  /** A quarter of it. */
  readonly packed: Buffer
}

export function dashboardRoutes(app: App): void {
  let loading: Promise<ReadonlyMap<string, ServedAsset>> | undefined
  const load = () => {
    loading ??= readAssets().catch((error: unknown) => {
      // Packages may be installed meanwhile.
      loading = undefined
      throw error
    })
    return loading
  }
  for (const path of DASHBOARD_PATHS)
    app.get(
      path,
      { config: { policy: { kind: 'public' } }, schema: { hide: true } },
      async (request, reply) => {
        const asset = (await load()).get(path)
        if (asset === undefined) return reply.callNotFound()
        void reply.headers({ ...HEADERS, etag: asset.etag, vary: 'accept-encoding' })
        if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send()
        const isPacked = /\bgzip\b/.test(String(request.headers['accept-encoding']))
        if (isPacked) void reply.header('content-encoding', 'gzip')
        return reply.type(asset.type).send(isPacked ? asset.packed : asset.plain)
      },
    )
}

async function readAssets(): Promise<ReadonlyMap<string, ServedAsset>> {
  // Loaded with the first browser: most controllers are asked by the command line only.
  const { loadAssets } = await import('../dashboard/assets.ts')
  const assets = await loadAssets()
  return new Map(
    assets.map(({ path, type, text }) => [
      path,
      {
        type,
        // Weak: the same page, packed or not.
        etag: `W/"${sha256(text).slice(0, 32)}"`,
        plain: Buffer.from(text),
        packed: gzipSync(text, { level: 9 }),
      },
    ]),
  )
}
