// The queue in memory and the batches on their way. An event keeps its place until it is acknowledged or
// given up; a batch whose connection failed comes back as it was, one whose publishing failed has one
// retry less.

export interface Event {
  readonly sequence: number
  readonly body: Readonly<Record<string, unknown>>
}

export interface Batch {
  readonly events: readonly Event[]
  /** Failures until it is dropped; 0: never. */
  readonly ttl: number
}

export interface QueueOptions {
  readonly capacity: number
  readonly batchSize: number
  /** Negative: without limit. */
  readonly maxRetries: number
}

export interface Counters {
  /** Taken into the queue. */
  published: number
  /** Not taken, because it was full. */
  queueFull: number
  acked: number
  /** Of a publish that failed, each time. */
  failed: number
  /** Given up: no retry left, or Elasticsearch will never take it. */
  dropped: number
  retry: number
}

export interface Queue {
  /** False: it is full, the event is lost. */
  offer(event: Event): boolean
  /** The next batch as soon as there is one; batches that came back are first. */
  take(): Promise<Batch>
  cancelled(batch: Batch): void
  /** `left` is to be published again, the rest of the batch was taken or refused for good. */
  done(batch: Batch, outcome: { readonly left: readonly Event[]; readonly refused: number }): void
  size(): number
  /** Of events that are neither acknowledged nor given up. */
  numbers(): readonly number[]
  counters(): Readonly<Counters>
}

export function createQueue({ capacity, batchSize, maxRetries }: QueueOptions): Queue {
  const waiting: Event[] = []
  const returned: Batch[] = []
  const takers: ((batch: Batch) => void)[] = []
  const inFlight = new Set<Event>()
  const counters: Counters = {
    published: 0,
    queueFull: 0,
    acked: 0,
    failed: 0,
    dropped: 0,
    retry: 0,
  }
  // The first attempt is no retry.
  const ttl = maxRetries < 0 ? 0 : maxRetries + 1

  const next = (): Batch | undefined => {
    const again = returned.shift()
    if (again !== undefined || waiting.length === 0) return again
    const events = waiting.splice(0, batchSize)
    for (const event of events) inFlight.add(event)
    return { events, ttl }
  }
  const serve = () => {
    while (takers.length > 0) {
      const batch = next()
      if (batch === undefined) return
      takers.shift()?.(batch)
    }
  }
  return {
    offer: event => {
      if (waiting.length + inFlight.size >= capacity) {
        counters.queueFull++
        return false
      }
      counters.published++
      waiting.push(event)
      serve()
      return true
    },
    take: () =>
      new Promise(resolve => {
        takers.push(resolve)
        serve()
      }),
    cancelled: batch => {
      returned.push(batch)
      serve()
    },
    done: (batch, { left, refused }) => {
      counters.acked += batch.events.length - left.length - refused
      counters.failed += left.length
      counters.dropped += refused
      const isGivenUp = batch.ttl === 1
      const kept = isGivenUp ? [] : left
      for (const event of batch.events) if (!kept.includes(event)) inFlight.delete(event)
      if (left.length === 0) return
      if (isGivenUp) {
        counters.dropped += left.length
        return
      }
      counters.retry += left.length
      returned.push({ events: left, ttl: Math.max(batch.ttl - 1, 0) })
      serve()
    },
    size: () => waiting.length + inFlight.size,
    numbers: () => [...inFlight, ...waiting].map(({ sequence }) => sequence),
    counters: () => counters,
  }
}
