// A controller in enemy hands sends a document: wherever it has a text, the text is a path, a command
// or a trap. Nothing of it names a file, a unit or a program on the node. (A server once took paths
// from its clients, and another put their words into a shell.)

import t from 'tap'
import { parseDesiredState, sealDesiredState } from '../../shared/contract/desired-state.ts'
import { ServiceTls } from '../../shared/contract/service.ts'
import { newNode, passOnce, wish } from '../support/memory-fleet.ts'

const TRAPS = [
  '../../../../etc/passwd',
  '/etc/shadow',
  '/etc/systemd/system/evil.service',
  '$(touch /tmp/evil)',
  '; rm -rf /tmp/evil',
  '`id`',
  '--config=/tmp/evil',
  '-o/tmp/evil',
  'evil\nExecStart=/tmp/evil',
  'evil\0.example',
  '%n.evil',
]

/** What the agent has for itself, and the material of each product, as the drivers name it. */
const OWN =
  /^\/var\/lib\/tlsfleet(\/|$)|^\/etc\/(prometheus|influxdb)\/tls(\/releases(\/[0-9a-f]{16}(\/key\.pem)?)?)?$/

const services = await wish({ issuer: 'self-signed', services: ['prometheus', 'influxdb'] })
const document = sealDesiredState({
  node: 'n1',
  generation: 1,
  mode: 'enforce',
  permit: false,
  content: { services: [...services] },
})

type Path = readonly (string | number)[]

/** Where the texts of a value are. */
function textsOf(value: unknown, at: Path = []): readonly Path[] {
  if (typeof value === 'string') return [at]
  if (Array.isArray(value)) return value.flatMap((one, index) => textsOf(one, [...at, index]))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, one]) => textsOf(one, [...at, key]))
}

function replaced(value: unknown, [key, ...rest]: Path, text: string): unknown {
  if (key === undefined) return text
  if (Array.isArray(value))
    return value.map((one, index) => (index === key ? replaced(one, rest, text) : one))
  if (typeof value !== 'object' || value === null) return value
  return { ...value, [key]: replaced(Reflect.get(value, key), rest, text) }
}

function isAccepted(value: unknown): boolean {
  try {
    parseDesiredState(value)
    return true
  } catch {
    return false
  }
}

await t.test('only names in certificates may be any text, and those are checked later', async t => {
  const places = textsOf(document)
  t.ok(places.length > 20)
  const open = places.filter(at => TRAPS.some(trap => isAccepted(replaced(document, at, trap))))

  const kinds = new Set(
    open.map(at => at.map(step => (typeof step === 'number' ? '*' : step)).join('.')),
  )
  t.same([...kinds].toSorted(), [
    'content.services.*.certificate.names.dns.*',
    'content.services.*.certificate.names.ip.*',
  ])
})

await t.test('a field that nobody knows is refused wherever it stands', async t => {
  const holders: readonly Path[] = [
    [],
    ['content'],
    ['content', 'services', 0],
    ['content', 'services', 0, 'certificate'],
    ['content', 'services', 0, 'certificate', 'names'],
    ['content', 'services', 0, 'verify'],
    ['content', 'services', 0, 'options'],
  ]
  for (const at of holders)
    for (const field of ['path', 'command', 'unit', 'template', 'script', 'mode2', 'file']) {
      const value = grown(document, at, field)
      t.notOk(isAccepted(value), `${at.join('.')}.${field}`)
    }
})

function grown(value: unknown, [key, ...rest]: Path, field: string): unknown {
  if (Array.isArray(value))
    return value.map((one, index) => (index === key ? grown(one, rest, field) : one))
  if (typeof value !== 'object' || value === null) return value
  if (key === undefined) return { ...value, [field]: '/tmp/evil' }
  return { ...value, [key]: grown(Reflect.get(value, key), rest, field) }
}

await t.test('a trap for a name leaves the node as it is', async t => {
  for (const trap of TRAPS) {
    const node = newNode()
    const wanted = services.map(one =>
      ServiceTls.parse({
        ...one,
        certificate: {
          ...('certificate' in one ? one.certificate : {}),
          names: { dns: [trap], ip: [] },
        },
      }),
    )
    const before = [...node.tree.keys()]

    const reports = await passOnce(node, wanted)

    t.ok(
      reports.every(({ outcome }) => outcome !== 'changed' && outcome !== 'in-sync'),
      trap,
    )
    t.same(node.activations, [], `${trap}: nothing was started`)
    const added = [...node.tree.keys()].filter(path => !before.includes(path))
    t.same(
      added.filter(path => !OWN.test(path)),
      [],
      `${trap}: nothing was written but its own`,
    )
    t.notOk(added.some(path => path.includes('evil') || path.includes('passwd')))
  }
  t.equal(Object.keys(Object.prototype).length, 0)
})
