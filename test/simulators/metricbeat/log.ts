// Log lines of a Beat: one JSON object each, on standard error.

export type Level = 'debug' | 'info' | 'warn' | 'error'
export type Log = (
  level: Level,
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void

export function createLog(logger: string): Log {
  return (level, message, fields = {}) => {
    const line = {
      'log.level': level,
      '@timestamp': new Date().toISOString(),
      'log.logger': logger,
      message,
      'service.name': 'metricbeat',
      'ecs.version': '1.6.0',
      ...fields,
    }
    process.stderr.write(`${JSON.stringify(line)}\n`)
  }
}
