// What is kept of an observation, and for how long.

import t from 'tap'
import type { Host } from '../../agent/host.ts'
import { createObserver } from '../../agent/observe.ts'
import { REGISTRY, type Registry } from '../../agent/services/registry.ts'
import { newNode, passOnce, wish } from '../support/memory-fleet.ts'

const [, influxdb] = await wish()
if (influxdb === undefined) throw new Error('no wish')

const MAX_AGE_MS = 60_000
const ARGV = ['/usr/bin/ask-the-others']

/** Every driver asks one thing more, which tells of other nodes. */
function asking(maxAgeMs: number | undefined): Registry {
  return {
    ...REGISTRY,
    inputs: (tls, seen, context) => [
      ...REGISTRY.inputs(tls, seen, context),
      {
        kind: 'command',
        argv: ARGV,
        asService: false,
        dependsOn: [],
        ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
      },
    ],
  }
}

function counting(host: Host): { readonly host: Host; readonly count: () => number } {
  let count = 0
  const run: Host['commands']['run'] = async (argv, options) => {
    if (argv[0] !== ARGV[0]) return host.commands.run(argv, options)
    count += 1
    return { code: 0, stdout: '', stderr: '' }
  }
  return { host: { ...host, commands: { ...host.commands, run } }, count: () => count }
}

await t.test('what a command says of other nodes is asked again when it is too old', async t => {
  const node = newNode()
  await passOnce(node, [influxdb])
  const { host, count } = counting(node.host)
  const observer = createObserver(host, { files: {}, localCa: undefined }, asking(MAX_AGE_MS))
  const observe = () => observer.observe(influxdb)

  await observe()
  t.equal(count(), 1)
  node.advance(MAX_AGE_MS - 1)
  await observe()
  t.equal(count(), 1, 'not before')
  node.advance(1)
  await observe()
  t.equal(count(), 2)
  await observe()
  t.equal(count(), 2)
})

await t.test('what it says of its own node holds until something there changes', async t => {
  const node = newNode()
  await passOnce(node, [influxdb])
  const { host, count } = counting(node.host)
  const observer = createObserver(host, { files: {}, localCa: undefined }, asking(undefined))

  await observer.observe(influxdb)
  node.advance(365 * 86_400_000)
  await observer.observe(influxdb)
  t.equal(count(), 1)
})
