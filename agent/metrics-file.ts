// `[metrics] textfile` of agent.toml: written when it says something else than the last time, by one
// rename, so that a collector never reads half of it.

import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import type { Host } from './host.ts'
import type { AgentMetrics } from './metrics.ts'
import { OWN } from './state-file.ts'

export interface MetricsFile {
  /** Absolute. */
  readonly path: string
  /** How often it is written although nothing has happened; undefined: never. */
  readonly refreshMs: number | undefined
}

/** A collector of another user reads it, and there is no secret in it. */
const MODE = 0o644

/** Never throws for what the disk does: whoever watches the metrics sees that they are old. */
export function createMetricsWriter(
  file: MetricsFile | undefined,
  {
    host,
    metrics,
    log,
  }: { readonly host: Host; readonly metrics: AgentMetrics; readonly log: Logger },
): () => Promise<void> {
  let written: { readonly lasting: string; readonly monotonicMs: number } | undefined
  let complaint: string | undefined
  return async () => {
    if (file === undefined) return
    const { path, refreshMs } = file
    const monotonicMs = host.clock.monotonic()
    const lasting = metrics.lasting()
    const isOld = refreshMs !== undefined && monotonicMs - (written?.monotonicMs ?? 0) >= refreshMs
    if (written?.lasting === lasting && !isOld) return
    try {
      const text = refreshMs === undefined ? lasting : metrics.text()
      // The process before this one may have said the same.
      if (written !== undefined || !(await says(host, path, text))) await replace(host, path, text)
      written = { lasting, monotonicMs }
      complaint = undefined
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error
      const said = describeError(error)
      if (said !== complaint) log.warn({ code: error.code, error: said }, 'metrics not written')
      complaint = said
    }
  }
}

async function says({ files }: Host, path: string, text: string): Promise<boolean> {
  const bytes = await files.read(path)
  return bytes !== undefined && Buffer.from(bytes).equals(Buffer.from(text))
}

async function replace({ files }: Host, path: string, text: string): Promise<void> {
  const slash = path.lastIndexOf('/')
  // Collectors read `*.prom` only.
  const temporary = `${path.slice(0, slash + 1)}.tlsfleet-${path.slice(slash + 1)}.new`
  const contents = Buffer.from(text)
  await files.create(temporary, { contents, mode: MODE, ...OWN, overwrite: true })
  await files.rename(temporary, path)
}
