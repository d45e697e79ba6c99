// The real node: all edges together.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../shared/clock.ts'
import type { Host } from '../host.ts'
import { createAccounts } from './accounts.ts'
import { createCommands } from './commands.ts'
import { createFiles } from './files.ts'
import { createImageCommands } from './image-commands.ts'
import { createNetwork } from './network.ts'
import { createOfflineServices } from './offline-services.ts'
import { createServices } from './systemd.ts'
import { createTrees } from './trees.ts'

export interface HostOptions {
  /** The node's files are below it; without `systemctl` an image, in which nothing runs. */
  readonly root?: string | undefined
  /** A stand-in for systemctl; the services then run outside of the root, on this machine. */
  readonly systemctl?: string | undefined
  /** `user`: services of the caller's own manager. */
  readonly scope?: 'system' | 'user'
  readonly clock?: Clock
}

const SYSTEMCTL = '/usr/bin/systemctl'
const SYSTEMD_RUN = '/usr/bin/systemd-run'
const GETENT = '/usr/bin/getent'

export function createHost({
  root,
  systemctl,
  scope,
  clock = systemClock,
}: HostOptions = {}): Host {
  if (root !== undefined && root !== '/' && systemctl === undefined) return imageHost(root, clock)
  const isSandbox = root !== undefined && systemctl !== undefined
  const isReal = root === undefined && systemctl === undefined
  const accounts = createAccounts({ root, getent: present(GETENT) })
  const manager = {
    systemctl: systemctl ?? SYSTEMCTL,
    ...(scope === undefined ? {} : { scope }),
  }
  return {
    files: createFiles({ root }),
    trees: createTrees({ root }),
    services: createServices({
      ...manager,
      root,
      primaryGroup: user => accounts.primaryGroup(user),
    }),
    commands: createCommands({
      ...manager,
      systemdRun: isReal && scope !== 'user' ? present(SYSTEMD_RUN) : undefined,
      accounts,
    }),
    network: createNetwork(),
    accounts,
    clock,
    random: randomBytes,
    servicePath: path => (isSandbox ? join(root, path) : path),
    isOffline: false,
  }
}

function imageHost(root: string, clock: Clock): Host {
  const files = createFiles({ root })
  const accounts = createAccounts({ root, isOffline: true })
  return {
    files,
    trees: createTrees({ root }),
    services: createOfflineServices({ files }),
    commands: createImageCommands({ root, files, accounts }),
    network: createNetwork(),
    accounts,
    clock,
    random: randomBytes,
    servicePath: path => path,
    isOffline: true,
  }
}

function present(program: string): string | undefined {
  return existsSync(program) ? program : undefined
}
