// A service whose starts wait for a test: what an agent is in the middle of then lasts until the test has
// seen it, however slow the machine is.

import type { Lab } from './lab.ts'

const HELD = '/run/held-start'

export interface HeldStart {
  /** From now on the service is started, and does not become active. */
  hold(): Promise<void>
  letGo(): Promise<void>
}

/** The other commands of a start run after it has been let go. */
export async function installHold(lab: Lab, node: string, unit: string): Promise<HeldStart> {
  const wait = `/bin/sh -c 'while [ -e ${HELD} ]; do sleep 0.05; done'`
  const dropIn = `/etc/systemd/system/${unit}.service.d/00-held.conf`
  await lab.writeFile(node, dropIn, `[Service]\nExecStartPost=${wait}\n`)
  await lab.output(node, ['systemctl', 'daemon-reload'])
  return {
    hold: async () => void (await lab.output(node, ['touch', HELD])),
    letGo: async () => void (await lab.output(node, ['rm', HELD])),
  }
}
