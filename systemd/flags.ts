// How Node runs the agent: its daemon, as the unit has it, and its other commands. These are done in a
// quarter of a second, and the optimising compilers save them more than they cost.

/** The unit sets it, the installed program hands its words to Node instead of those it has. */
export const FLAGS_VARIABLE = 'TLSFLEET_NODE_FLAGS'

/**
 * Node reads its own 121 public roots as soon as anything needs TLS, in a thread of its own: 29 ms of CPU
 * in every start, and 2 MiB. The agent trusts nobody by default: its controller is known by the roots that
 * it was given, and a listener is judged by those of its service or of the system.
 */
const WITHOUT_PUBLIC_ROOTS = '--use-openssl-ca'

/** Of the agent's commands: they end before it would pay to collect what they leave; 10 ms. */
export const COMMAND_FLAGS = [WITHOUT_PUBLIC_ROOTS, '--min-semi-space-size=16'] as const

/**
 * What keeps the idle agent small; the figures are of its resident memory.
 * - Memory is given back after a burst of work (daemon.ts asks for it).
 * - Optimising compilers do not pay for a process that works for milliseconds a minute, but their
 *   code stays in memory once it has run: 8 MiB.
 * - One helper thread of the engine (0 lets Node choose by the number of CPUs), and tables in their small form: 3 MiB.
 * - What is collected is small and the process alone: waking a helper for it costs a pass 6 to 8 % of its CPU.
 * - Code that has not run since the last collection is dropped: 2 MiB. What it costs is a correction
 *   that comes 20 ms later to an agent at rest.
 * - A full collection, rare here, leaves no half-empty pages: 0.4 MiB.
 */
export const AGENT_FLAGS = [
  '--expose-gc',
  '--max-opt=1',
  '--v8-pool-size=1',
  '--single-threaded-gc',
  '--optimize-for-size',
  '--flush-baseline-code',
  '--bytecode-old-age=1',
  '--compact-on-every-full-gc',
  WITHOUT_PUBLIC_ROOTS,
] as const
