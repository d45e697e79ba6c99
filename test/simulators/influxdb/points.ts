// Databases and the points in them, enough to count what was written.

export interface Points {
  create(database: string): void
  databases(): readonly string[]
  /** One error text, or undefined. */
  write(database: string, lines: string): WriteError | undefined
  /** Points of a measurement; undefined: there is none of that name. */
  count(database: string, measurement: string): number | undefined
}

export interface WriteError {
  readonly status: number
  readonly message: string
}

export function createPoints(): Points {
  const databases = new Map<string, Map<string, Set<string>>>()
  let sequence = 0
  return {
    create: database => {
      if (!databases.has(database)) databases.set(database, new Map())
    },
    databases: () => [...databases.keys()],
    write: (database, lines) => {
      const measurements = databases.get(database)
      if (measurements === undefined) {
        return { status: 404, message: `database not found: ${JSON.stringify(database)}` }
      }
      const bad: string[] = []
      for (const line of lines
        .split('\n')
        .filter(line => line.trim() !== '' && !line.startsWith('#'))) {
        // measurement,tag=value field=value[,…] [time]; blanks and commas inside are escaped.
        const match =
          /^((?:\\.|[^\s,\\])+)((?:,(?:\\.|[^\s\\])+)?) ((?:"(?:\\.|[^"])*"|\\.|[^\s"])+)(?: (-?\d+))?$/.exec(
            line,
          )
        if (match === null || !match[3]?.includes('=')) {
          bad.push(`unable to parse '${line}': missing fields`)
          continue
        }
        const [, measurement = '', tags = '', , time] = match
        const points = measurements.get(measurement) ?? new Set<string>()
        measurements.set(measurement, points)
        // The same series at the same time is the same point.
        points.add(`${tags} ${time ?? `now ${sequence++}`}`)
      }
      return bad.length === 0 ? undefined : { status: 400, message: bad.join('\n') }
    },
    count: (database, measurement) => databases.get(database)?.get(measurement)?.size,
  }
}
