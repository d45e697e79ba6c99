// Red Hat's package manager on a host of the lab that has none: the one of this machine, started from
// a read-only mount of its /usr by its own loader, so that scripts of packages see the node's files only.

import { spawnSync } from 'node:child_process'
import { rpmAvailable } from '../../systemd/packages/rpm.ts'
import { LAB_UNAVAILABLE } from '../lab/availability.ts'
import type { Lab } from '../lab/lab.ts'

/** Begins like the reasons of the lab: in CI, a test that was skipped for it is a failure. */
export const RPM_UNAVAILABLE: string | false =
  rpmAvailable() && spawnSync('rpm', ['--version']).status === 0
    ? false
    : `${LAB_UNAVAILABLE}: rpm is not installed (apt-get install rpm)`

const HOST_USR = '/opt/host-usr'
/** For the lab's `binds`. */
export const RPM_BIND = `/usr:${HOST_USR}`

const [MULTIARCH, LOADER] =
  process.arch === 'arm64'
    ? ['aarch64-linux-gnu', 'ld-linux-aarch64.so.1']
    : ['x86_64-linux-gnu', 'ld-linux-x86-64.so.2']

// Debian's rpm refuses to install on a Debian unless it is told to.
const SCRIPT = `#!/bin/sh
export RPM_CONFIGDIR=${HOST_USR}/lib/rpm
libraries=${HOST_USR}/lib/${MULTIARCH}
exec $libraries/${LOADER} --library-path $libraries ${HOST_USR}/bin/rpm --dbpath /var/lib/rpm --force-debian "$@"
`

/** From here on there is a command `rpm` on the node. */
export async function bringRpm(lab: Lab, node: string): Promise<void> {
  await lab.writeFile(node, '/usr/local/bin/rpm', SCRIPT)
  await lab.output(node, ['chmod', '755', '/usr/local/bin/rpm'])
}
