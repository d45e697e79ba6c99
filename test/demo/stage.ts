// Where the demo plays: real hosts in a lab, or sandbox nodes. The story is the same on both.

import type { Outcome } from '../lab/command.ts'

export interface Stage {
  readonly kind: 'lab' | 'sandbox'
  /** One sentence for people: what runs here, and why not something better. */
  readonly description: string
  readonly nodes: readonly StageNode[]
  /** Names and addresses by which nodes reach the controller. */
  readonly controllerHosts: readonly string[]
  /** Arguments that make the controller listen where nothing else does. */
  readonly listenArguments: readonly string[]
  /** Runs a program of this project where the controller lives. */
  run(
    argv: readonly string[],
    options?: { readonly input?: string; readonly timeoutMs?: number },
  ): Promise<Outcome>
  /** Starts the controller; it ends with the stage. */
  startController(argv: readonly string[]): void
  /** Lines for `--keep`: how to look at what was left running. */
  howToLook(): readonly string[]
  down(): Promise<void>
}

export interface StageNode {
  readonly name: string
  readonly dns: readonly string[]
  readonly ip: readonly string[]
  readonly listeners: readonly {
    readonly service: 'prometheus' | 'influxdb'
    readonly host: string
    readonly port: number
  }[]
  /** `tlsfleet-agent ARGUMENTS` on the node. */
  agent(
    argv: readonly string[],
    options?: { readonly input?: string; readonly timeoutMs?: number },
  ): Promise<Outcome>
  startAgent(): Promise<void>
  /** Contents of a file of the node, by its path there. */
  readFile(path: string): Promise<string>
  /** As an operator with an editor. */
  writeFile(path: string, contents: string): Promise<void>
  /** What a pass must not change: every managed file with its times, and the identity of the processes. */
  state(): Promise<string>
  /** InvocationID of a service. */
  invocation(service: 'prometheus' | 'influxdb'): Promise<string>
}
