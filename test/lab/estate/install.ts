// What a package's scripts do, as lines of a shell script that runs in a node: accounts, directories
// and files with owner and mode, units, and programs that are simulators under the products' names.

import { COMPILED_IN_NODE, type Lab, PROJECT_IN_NODE } from '../lab.ts'

const SIMULATORS = `${PROJECT_IN_NODE}/test/simulators`
const END = 'END_OF_FILE'
// All hosts of an estate are made at the same time.
const INSTALL_TIMEOUT_MS = 400_000

export interface Owned {
  readonly mode: string
  /** `user:group`; root:root if absent. */
  readonly owner?: string
}

export async function install(lab: Lab, node: string, lines: readonly string[]): Promise<void> {
  const input = `${lines.join('\n')}\n`
  await lab.output(node, ['sh', '-eu'], { input, timeoutMs: INSTALL_TIMEOUT_MS })
}

/** A system account with a group of its own, as packages make it. */
export function account(name: string): string {
  return `getent passwd ${name} >/dev/null || useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ${name}`
}

export function directory(path: string, owned: Owned): string {
  return `install -d ${ownership(owned)} ${path}`
}

/** The text ends with a line break. */
export function file(path: string, text: string, owned: Owned): string {
  return `install -D ${ownership(owned)} /dev/stdin ${path} <<'${END}'\n${text}${END}`
}

export function bytes(path: string, contents: Buffer, owned: Owned): string {
  const text = contents.toString('base64')
  return `base64 -d <<'${END}' | install -D ${ownership(owned)} /dev/stdin ${path}\n${text}\n${END}`
}

/** A file of the simulators, which stands for the one that the package brings. */
export function stock(path: string, source: string, owned: Owned): string {
  return `install -D ${ownership(owned)} ${SIMULATORS}/${source} ${path}`
}

/** Each expression must change something, or a stock file is not what it was taken for. */
export function edited(path: string, expressions: readonly string[]): string {
  return expressions
    .map(
      expression =>
        `cp -p ${path} /root/before; sed -i --follow-symlinks -e ${quoted(expression)} ${path}; ! cmp -s /root/before ${path}`,
    )
    .join('\n')
}

export function unit(name: string, text: string): string {
  return file(`/etc/systemd/system/${name}`, text, { mode: '644' })
}

/** A program that is the simulator: the shell is replaced by it, so the process is the unit's. */
export function program(
  path: string,
  simulator: string,
  environment: Readonly<Record<string, string>>,
): string {
  const all = { ...environment, NODE_COMPILE_CACHE: COMPILED_IN_NODE }
  const exports = Object.entries(all).map(([name, value]) => `export ${name}='${value}'\n`)
  const text = `#!/bin/sh\n${exports.join('')}exec /usr/bin/node ${SIMULATORS}/${simulator} "$@"\n`
  return file(path, text, { mode: '755' })
}

// Not enabled, because no node is rebooted: Debian's scripts for that take longer than a start.
export function started(...units: readonly string[]): string {
  return `systemctl daemon-reload; systemctl restart ${units.join(' ')}`
}

/** What the image starts, and this node has no use for. */
export function without(...units: readonly string[]): string {
  return `systemctl stop ${units.join(' ')}`
}

function ownership({ mode, owner = 'root:root' }: Owned): string {
  const [user = 'root', group = 'root'] = owner.split(':')
  return `-m ${mode} -o ${user} -g ${group}`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
