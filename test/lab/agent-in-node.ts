// The agent on a node of the lab, as its package installs it: the command, and the unit of the project,
// both running from the checkout that is bound into the node.

import { COMPILED_IN_NODE, type Lab, PROJECT_IN_NODE, until } from './lab.ts'

export interface AgentInNode {
  /** Runs `tlsfleet-agent …` on the node. */
  run(...argv: readonly string[]): ReturnType<Lab['exec']>
  /** Starts the service and waits until systemd calls it active. */
  start(): Promise<void>
  stop(): Promise<void>
  /** What the service has logged since the node booted. */
  log(): Promise<string>
}

export interface AgentOptions {
  /** Contents of /etc/tlsfleet/agent.toml; undefined: none, the defaults. */
  readonly config?: string
}

const COMMAND = '/usr/bin/tlsfleet-agent'
const UNIT = 'tlsfleet-agent.service'
// A pass may restart services and prove them stable.
const RUN_TIMEOUT_MS = 400_000

export async function installAgent(
  lab: Lab,
  node: string,
  { config }: AgentOptions = {},
): Promise<AgentInNode> {
  const main = `${PROJECT_IN_NODE}/agent/main.ts`
  const node24 = `NODE_COMPILE_CACHE=${COMPILED_IN_NODE} exec /usr/bin/node`
  await lab.writeFile(node, COMMAND, `#!/bin/sh\n${node24} --expose-gc ${main} "$@"\n`)
  await lab.output(node, ['chmod', '755', COMMAND])
  await lab.output(node, ['cp', `${PROJECT_IN_NODE}/systemd/${UNIT}`, '/etc/systemd/system/'])
  await lab.output(node, ['systemctl', 'daemon-reload'])
  if (config !== undefined) {
    await lab.writeFile(node, '/etc/tlsfleet/agent.toml', config)
    // Policy: read by root only, and only root may change it.
    await lab.output(node, ['chmod', '600', '/etc/tlsfleet/agent.toml'])
  }
  const isActive = async () =>
    (await lab.exec(node, ['systemctl', 'is-active', '-q', UNIT])).code === 0
  return {
    run: (...argv) => lab.exec(node, [COMMAND, ...argv], { timeoutMs: RUN_TIMEOUT_MS }),
    start: async () => {
      await lab.output(node, ['systemctl', 'start', UNIT])
      await until(isActive, { what: `the agent of ${node} is active` })
    },
    stop: async () => {
      await lab.output(node, ['systemctl', 'stop', UNIT])
    },
    log: () => lab.output(node, ['journalctl', '-b', '-u', UNIT, '-o', 'cat', '--no-pager']),
  }
}
