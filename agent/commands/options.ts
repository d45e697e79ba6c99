// Options that the agent's commands share, and the exit codes that scripts rely on.

import { parseArgs } from 'node:util'
import { OperationalError } from '../../shared/errors.ts'

/** Documented in docs/one-node.md and in --help. */
export const EXIT = { ok: 0, failed: 1, changes: 2, usage: 64 } as const

const SPEC = {
  config: { type: 'string' },
  'state-dir': { type: 'string' },
  desired: { type: 'string' },
  root: { type: 'string' },
  systemctl: { type: 'string' },
  token: { type: 'string' },
  'token-file': { type: 'string' },
  json: { type: 'boolean' },
  'no-diff': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

export interface Options {
  readonly command: string | undefined
  /** Second word of the command line. */
  readonly subject: string | undefined
  readonly config: string | undefined
  readonly stateDirectory: string | undefined
  readonly desired: string | undefined
  readonly root: string | undefined
  readonly systemctl: string | undefined
  readonly token: string | undefined
  readonly tokenFile: string | undefined
  readonly json: boolean
  readonly diff: boolean
  readonly help: boolean
  readonly version: boolean
}

/** Throws `usage`. */
export function parseOptions(argv: readonly string[]): Options {
  let parsed
  try {
    parsed = parseArgs({ args: [...argv], options: SPEC, allowPositionals: true, strict: true })
  } catch (error) {
    // The second sentence is advice for positional arguments, of which there are none here.
    const [problem = ''] = String(error instanceof Error ? error.message : error).split('. ')
    throw new OperationalError('usage', problem)
  }
  const { values, positionals } = parsed
  const wordsMax = positionals[0] === 'renew' ? 2 : 1
  if (positionals.length > wordsMax)
    throw new OperationalError('usage', `unexpected argument ${positionals[wordsMax]}`)
  for (const [name, value] of Object.entries(values)) {
    if (value === '') throw new OperationalError('usage', `--${name} is empty`)
    const isPathOfNode = name === 'state-dir' || name === 'config'
    if (isPathOfNode && !String(value).startsWith('/'))
      throw new OperationalError('usage', `--${name} must be an absolute path`)
  }
  return {
    command: positionals[0],
    subject: positionals[1],
    config: values.config,
    stateDirectory: values['state-dir'],
    desired: values.desired,
    root: values.root,
    systemctl: values.systemctl,
    token: values.token,
    tokenFile: values['token-file'],
    json: values.json === true,
    diff: values['no-diff'] !== true,
    help: values.help === true,
    version: values.version === true,
  }
}

export const HELP = `tlsfleet-agent keeps the TLS of the services on this node as it should be.

Usage: tlsfleet-agent COMMAND [OPTIONS]

Commands
  run                       the daemon: converge, watch, report; started by systemd
  enroll --token TOKEN      join a fleet; the token comes from "tlsfleet node add"
  status                    what the running agent knows about this node
  metrics                   what the running agent has counted, in the text format of Prometheus
  plan                      what would be changed; exit code 2 when there is something
  apply                     converge now
  renew SERVICE             a new key and certificate for a service now, through the running agent
  verify                    handshake with every listener and judge what it serves; in an image,
                            judge the files
  doctor                    looks for what is wrong with this node, its agent and the way to the
                            controller; each finding says what to do
  schema                    JSON Schema of the file for --desired
  facts                     what this node tells of itself to a controller, as JSON

Options
  --desired FILE            a desired state of this node as a file (YAML or JSON): no controller needed
  --root DIR                the node's files are under DIR; with --desired and without --systemctl
                            DIR is an image: nothing in it is started or asked, its services load
                            their files when it boots; needs root, to run their checkers inside
  --systemctl PATH          use this program in place of systemctl; with --root, services are taken to
                            run outside of DIR, so paths in their configuration are written with DIR
  --state-dir DIR           default /var/lib/tlsfleet/agent
  --config FILE             default /etc/tlsfleet/agent.toml
  --token-file FILE         read the token from a file, - for standard input
  --json                    one JSON document on standard output
  --no-diff                 leave out the diffs of files
  -h, --help  --version

Exit codes: 0 all is well, 1 something failed, 2 plan: there are changes, 64 wrong usage.
`
