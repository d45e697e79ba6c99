// Versions of simulated products: `1.12.3`, with any suffix (`~rc0`, `+ds`, `-c1.11.3`) left out.

/** Negative, 0 or positive as `a` is older than, as old as or newer than `b`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)]
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

export function isAtLeast(version: string, since: string): boolean {
  return compareVersions(version, since) >= 0
}

function numbers(version: string): readonly number[] {
  const plain = /^v?([\d.]+)/.exec(version)?.[1] ?? '0'
  return plain.split('.').map(Number)
}
