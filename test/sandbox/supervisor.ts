// The service manager of one sandbox node: a process that supervises the units under a root and
// answers systemctl.pl. It ends, and every service with it, when its standard input does: that is
// held by the process that owns the node.

import { mkdirSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { createUnit, type Unit } from './unit.ts'
import { listEnabled, loadUnit, versionOf } from './unit-file.ts'
import { type Answer, runVerb, type Units } from './verbs.ts'

/**
 * Where systemctl.pl finds the supervisor, relative to the root: the whole path may be longer than
 * the 108 bytes that the address of a socket can have.
 */
export const SOCKET = 'run/systemd/sandbox.sock'

const REQUEST_BYTES_MAX = 1024 * 1024
// How long services get to end when the node is switched off; then they are killed.
const SHUTDOWN_MS = 5_000

export function createUnits(root: string): Units & { stopAll(): Promise<void>; destroy(): void } {
  const units = new Map<string, Unit>()
  const get = (name: string): Unit => {
    const known = units.get(name)
    const down = known?.status().state === 'inactive/dead'
    // A unit that is not loaded is read anew; one that is loaded waits for a daemon-reload.
    if (known !== undefined && !(down && known.definition().unitFileState !== 'enabled'))
      return known
    const definition = loadUnit(root, name)
    if (known !== undefined) known.redefine(definition)
    const unit = known ?? createUnit(root, definition)
    units.set(name, unit)
    return unit
  }
  return {
    get,
    list: () => [...units.values()],
    needsDaemonReload: unit => {
      const { name, fragmentPath, version } = unit.definition()
      return versionOf(root, name, fragmentPath === '' ? undefined : fragmentPath) !== version
    },
    daemonReload: () => {
      for (const [name, unit] of units) unit.redefine(loadUnit(root, name))
    },
    stopAll: async () => {
      await Promise.all([...units.values()].map(unit => unit.stop()))
    },
    destroy: () => {
      for (const unit of units.values()) unit.destroy()
    },
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { root: { type: 'string' } } })
  const root = resolve(values.root ?? '.')
  mkdirSync(`${root}/run/systemd/units`, { recursive: true })
  process.chdir(root)
  rmSync(SOCKET, { force: true })

  const units = createUnits(root)
  const server = createServer(socket => serve(socket, argv => runVerb(units, argv)))
  server.listen(SOCKET, () => process.stdout.write('ready\n'))
  void Promise.all(listEnabled(root).map(name => units.get(name).start()))

  const powerOff = () => {
    units.destroy()
    process.exit(0)
  }
  process.stdin.resume().on('end', powerOff).on('error', powerOff)
  process.on('SIGINT', powerOff)
  process.on('SIGTERM', () => {
    setTimeout(powerOff, SHUTDOWN_MS)
    void units.stopAll().then(powerOff)
  })
}

/** One line of JSON each way: the arguments of systemctl, and its answer. */
function serve(socket: Socket, run: (argv: readonly string[]) => Promise<Answer>): void {
  let text = ''
  // A client that is gone, killed by its timeout, has no use for the answer.
  socket.on('error', () => socket.destroy())
  socket.setEncoding('utf8').on('data', chunk => {
    text += chunk
    if (text.length > REQUEST_BYTES_MAX) socket.destroy()
    if (!text.endsWith('\n')) return
    const argv: unknown = JSON.parse(text)
    if (!Array.isArray(argv)) return
    run(argv.map(String)).then(
      answer => socket.end(JSON.stringify(answer)),
      (error: unknown) => {
        process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
        socket.destroy()
      },
    )
  })
}

if (import.meta.main) await main()
