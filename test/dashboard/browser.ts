// Debian's Chromium on the dashboard of a real controller (controller/dashboard/page/main.tsx). Nothing leaves the origin, and no policy is
// broken: both are noted for every page, and the test ends with an error where it was not so.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Browser,
  type BrowserContext,
  chromium,
  type Locator,
  type Page,
} from 'playwright-core'
import type { Test } from 'tap'
import { LAB_UNAVAILABLE } from '../lab/availability.ts'
import type { Running } from '../controller/api/support.ts'

const CHROMIUM = '/usr/bin/chromium'
/** For anything that the page or the browser is waited for: two cores may have much else to do. */
const PATIENCE_MS = 120_000

/** Begins like the reasons of the lab: in CI, a test that was skipped for it is a failure. */
export const CHROMIUM_UNAVAILABLE: string | false = existsSync(CHROMIUM)
  ? false
  : `${LAB_UNAVAILABLE}: chromium is not installed (apt-get install chromium)`

export interface Visit {
  readonly page: Page
  /** Requests to anywhere else, breaches of the policy, errors of the page. Empty when all is well. */
  readonly complaints: readonly string[]
}

export interface VisitOptions {
  readonly colorScheme?: 'light' | 'dark'
  readonly width?: number
  readonly height?: number
  /** PEM; the browser shows it to the controller. */
  readonly certificate?: { readonly cert: string; readonly key: string }
}

/** A browser for one test file; it ends with the test. */
export async function openBrowser(t: Test): Promise<Browser> {
  const home = mkdtempSync(join(tmpdir(), 'tlsfleet-chromium-'))
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    timeout: PATIENCE_MS,
    // Tests run as root, where its own sandbox refuses to work.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    env: { PATH: process.env['PATH'] ?? '', HOME: home, LANG: 'C.UTF-8' },
  })
  t.teardown(async () => {
    await browser.close()
    // Processes of it may end a moment later.
    rmSync(home, { recursive: true, force: true, maxRetries: 10 })
  })
  return browser
}

export async function visit(
  t: Test,
  browser: Browser,
  running: Running,
  { colorScheme = 'light', width = 1360, height = 900, certificate }: VisitOptions = {},
): Promise<Visit> {
  const origin = running.controller.urls.operator
  const browserContext = await browser.newContext({
    baseURL: origin,
    // Its root is that of the test; what is under test is the page.
    ignoreHTTPSErrors: true,
    colorScheme,
    reducedMotion: 'reduce',
    viewport: { width, height },
    ...(certificate === undefined ? {} : { clientCertificates: [shownTo(origin, certificate)] }),
  })
  t.teardown(() => browserContext.close())
  const page = await browserContext.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  const complaints: string[] = []
  await listen(browserContext, page, origin, complaints)
  return { page, complaints }
}

function shownTo(origin: string, { cert, key }: { readonly cert: string; readonly key: string }) {
  return { origin, cert: Buffer.from(cert), key: Buffer.from(key) }
}

// Runs in the page.
const NOTE_BREACHES = `
  document.addEventListener('securitypolicyviolation', event =>
    complain('policy: ' + event.violatedDirective + ' ' + event.blockedURI))
`

async function listen(
  browserContext: BrowserContext,
  page: Page,
  origin: string,
  complaints: string[],
): Promise<void> {
  await browserContext.exposeBinding('complain', (_, text: string) => void complaints.push(text))
  await browserContext.addInitScript({ content: NOTE_BREACHES })
  page.on('request', request => {
    if (new URL(request.url()).origin !== origin) complaints.push(`leaves: ${request.url()}`)
  })
  page.on('pageerror', error => complaints.push(`error: ${error.message}`))
  page.on('console', message => {
    const text = message.text()
    // A refused request is part of signing in; everything else is a fault.
    const isAnswer = /Failed to load resource: the server responded with a status of 4\d\d/.test(
      text,
    )
    if (message.type() === 'error' && !isAnswer) complaints.push(`console: ${text}`)
  })
}

/** Presses a button, gives a reason, and does it. Fails with what the controller said where it refused. */
export async function confirm(page: Page, verb: string, reason = ''): Promise<void> {
  const refusal = await tryVerb(page, page.getByRole('button', { name: verb, exact: true }), reason)
  if (refusal !== undefined) throw new Error(refusal)
}

/** The same of one of several buttons; what the controller said where it refused. */
export async function tryVerb(
  page: Page,
  button: Locator,
  reason = '',
): Promise<string | undefined> {
  const verb = (await button.first().textContent()) ?? ''
  await button.first().click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel(/Reason/).fill(reason)
  await dialog.getByRole('button', { name: verb, exact: true }).click()
  const refusal = dialog.getByRole('alert')
  await Promise.race([dialog.waitFor({ state: 'detached' }), refusal.waitFor()])
  if ((await refusal.count()) === 0) return undefined
  const said = (await refusal.textContent()) ?? verb
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  return said
}

export async function signIn(page: Page, token: string, path = '/'): Promise<void> {
  await page.goto(path)
  await page.getByLabel('API token').fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation', { name: 'Views' }).waitFor()
}
