// The files of the dashboard. From sources they are built when the first browser asks, which takes a
// tenth of a second; what ships has them in it instead of this file (systemd/bundle.ts), so a
// controller that is installed needs neither esbuild nor a path to files.

import { OperationalError } from '../../shared/errors.ts'

export interface Asset {
  /** As the browser asks for it. */
  readonly path: string
  readonly type: string
  readonly text: string
}

/** Throws `dashboard-unbuilt` where only the packages of production are installed beside the sources. */
export async function loadAssets(): Promise<readonly Asset[]> {
  try {
    const { buildAssets } = await import('./build.ts')
    return (await buildAssets()).assets
  } catch (cause) {
    throw new OperationalError(
      'dashboard-unbuilt',
      'could not build the dashboard from its sources',
      {
        hint: 'Run `npm ci` with its development packages, or the controller that `npm run build` makes.',
        cause,
      },
    )
  }
}
