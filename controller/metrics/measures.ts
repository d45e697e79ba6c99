// What the controller counts while it works. In memory, from zero with every start, and O(1) for
// each event: a number more, never a look at the fleet.

import type { Report, ServiceReport } from '../../shared/contract/report.ts'
import {
  createCounter,
  createHistogram,
  type Counter,
  type Family,
  type Histogram,
} from '../../shared/exposition.ts'
import type { Store } from '../store/store.ts'

export interface Measures {
  readonly requests: Histogram
  readonly longPolls: Counter
  readonly transactions: Histogram
  readonly drift: Counter
  readonly deliveries: Counter
  families(): readonly Family[]
}

const REQUEST_BOUNDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]
// A commit to a good disk is 0.3 ms; one that waits behind others on a bad one is seconds.
const TRANSACTION_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5]

export function createMeasures(): Measures {
  const requests = createHistogram(
    'tlsfleet_api_request_duration_seconds',
    'Requests that were answered, without long polls.',
    REQUEST_BOUNDS,
  )
  const longPolls = createCounter('tlsfleet_api_long_polls_total', 'Long polls that were answered.')
  const transactions = createHistogram(
    'tlsfleet_store_transaction_duration_seconds',
    'Transactions of the store, with the wait for the one before.',
    TRANSACTION_BOUNDS,
  )
  const drift = createCounter(
    'tlsfleet_drift_reports_total',
    'Services that agents reported to have differed from what they had converged to.',
  )
  const deliveries = createCounter(
    'tlsfleet_webhook_deliveries_total',
    'Attempts to deliver a notification, and those that were given up.',
  )
  return {
    requests,
    longPolls,
    transactions,
    drift,
    deliveries,
    families: () => [requests, longPolls, transactions, drift, deliveries].map(one => one.family()),
  }
}

/** The same store; how long its transactions take is observed. */
export function timedStore(store: Store, { transactions }: Measures): Store {
  return {
    close: () => store.close(),
    async transaction(work) {
      const startedMs = performance.now()
      try {
        return await store.transaction(work)
      } finally {
        transactions.observe({}, (performance.now() - startedMs) / 1000)
      }
    },
  }
}

/** The service differed from a content that it had converged to, and this is what became of it. */
export function isDrift({ corrective, changes }: ServiceReport): boolean {
  return corrective && changes.length > 0
}

export function countDrift({ drift }: Measures, { services }: Report): void {
  for (const { service, outcome } of services.filter(isDrift)) drift.add({ service, outcome })
}
