// Real scrapes of the static targets: what `up` says is what a Go client would have seen.

import { dirname, resolve } from 'node:path'
import { goGet } from '../go/client.ts'
import { readGoFile } from '../go/x509-key-pair.ts'
import type { ScrapeJob } from './server-config.ts'

export interface Target {
  readonly job: string
  readonly address: string
  readonly scrapeUrl: string
  health: 'unknown' | 'up' | 'down'
  lastError: string
  lastScrapeMs: number | undefined
}

export interface Scraper {
  targets(): readonly Target[]
  stop(): void
}

/** `configFile`: relative paths in it are relative to its directory. */
export function startScraping(jobs: readonly ScrapeJob[], configFile: string): Scraper {
  const targets: Target[] = []
  const timers: NodeJS.Timeout[] = []
  for (const job of jobs) {
    for (const address of job.targets) {
      const scrapeUrl = `${job.scheme}://${address}${job.metricsPath}`
      const target: Target = {
        job: job.name,
        address,
        scrapeUrl,
        health: 'unknown',
        lastError: '',
        lastScrapeMs: undefined,
      }
      targets.push(target)
      const scrape = () => void scrapeOnce(target, job, configFile)
      // The real one spreads the first scrape over the interval.
      timers.push(
        setTimeout(scrape, Math.min(200, job.intervalMs)),
        setInterval(scrape, job.intervalMs),
      )
    }
  }
  return {
    targets: () => targets,
    stop: () => timers.forEach(timer => clearTimeout(timer)),
  }
}

async function scrapeOnce(target: Target, job: ScrapeJob, configFile: string): Promise<void> {
  try {
    // From disk each time, as Prometheus does: a new CA file needs no reload.
    const read = (path: string | undefined) =>
      path === undefined ? undefined : readGoFile(resolve(dirname(configFile), path))
    const [caPem, certPem, keyPem] = [
      read(job.tls.caFile),
      read(job.tls.certFile),
      read(job.tls.keyFile),
    ]
    const { status } = await goGet({
      url: target.scrapeUrl,
      timeoutMs: job.timeoutMs,
      insecureSkipVerify: job.tls.insecureSkipVerify,
      ...(caPem === undefined ? {} : { caPem }),
      ...(certPem === undefined ? {} : { certPem }),
      ...(keyPem === undefined ? {} : { keyPem }),
      ...(job.tls.serverName === undefined ? {} : { serverName: job.tls.serverName }),
    })
    target.health = status === 200 ? 'up' : 'down'
    target.lastError =
      status === 200 ? '' : `server returned HTTP status ${status} ${REASONS[status] ?? ''}`.trim()
  } catch (error) {
    target.health = 'down'
    target.lastError = `Get "${target.scrapeUrl}": ${error instanceof Error ? error.message : String(error)}`
  }
  target.lastScrapeMs = Date.now()
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  404: 'Not Found',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}
