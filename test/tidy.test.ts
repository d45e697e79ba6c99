// The architecture as a test: who may import whom, how large a file may be, that drivers are registered,
// that every source is reached by a test. Rules on words in the code belong to the linter.

import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

const ROOT = dirname(import.meta.dirname)
const LINES_MAX = 400

interface Import {
  /** Relative to the project, or the name of a package or of a module of Node. */
  readonly target: string
  readonly typeOnly: boolean
  /** What is imported by name; empty for a namespace or a side effect. */
  readonly names: readonly string[]
}

interface Source {
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
}

const sources = globSync('{shared,agent,controller,test}/**/*.{ts,tsx}', { cwd: ROOT })
  .filter(path => !path.includes('node_modules'))
  .toSorted()
  .map(readSource)
const ours = sources.filter(source => !source.path.startsWith('test/'))

// Questions about texts: whether one is an IP address, what to check of a certificate's names.
const PURE = [
  'isIP',
  'isIPv4',
  'isIPv6',
  'BlockList',
  'SocketAddress',
  'checkServerIdentity',
  'STATUS_CODES',
  'rootCertificates',
]

/** What a file that `of` selects must not import. */
interface Rule {
  readonly name: string
  readonly of: (path: string) => boolean
  readonly forbids: (imported: Import, from: string) => boolean
}

const STAGES = ['desired', 'observe', 'plan', 'apply', 'verify', 'report', 'reconcile']
const SIDE_EFFECTS = [
  'child_process',
  'fs',
  'fs/promises',
  'net',
  'tls',
  'http',
  'https',
  'http2',
  'dgram',
  'dns',
]

const ROTATION_PURE = ['rotation', 'evolve', 'decide', 'barriers', 'standing', 'worlds'].map(
  name => `controller/rotation/${name}.ts`,
)
const ELASTIC_EDGES = ['controller/elastic/connection.ts', 'controller/elastic/passwords.ts']
const ELASTIC_PURE = ['accounts', 'rights', 'plan'].map(name => `controller/elastic/${name}.ts`)

const RULES: readonly Rule[] = [
  {
    name: 'shared imports neither side',
    of: inside('shared'),
    forbids: ({ target }) => inside('agent', 'controller', 'test')(target),
  },
  {
    name: 'the agent never imports the controller, nor tests',
    of: inside('agent'),
    forbids: ({ target }) => inside('controller', 'test')(target),
  },
  {
    name: 'the controller never imports the agent, nor tests',
    of: inside('controller'),
    forbids: ({ target }) => inside('agent', 'test')(target),
  },
  {
    name: 'stages see the edges as interfaces only',
    of: path => STAGES.some(stage => path === `agent/${stage}.ts`),
    forbids: ({ target }) => inside('agent/edges')(target),
  },
  {
    name: 'only main.ts and the commands wire the edges',
    of: path =>
      inside('agent')(path) &&
      !inside('agent/edges', 'agent/commands')(path) &&
      path !== 'agent/main.ts',
    forbids: ({ target }) => inside('agent/edges')(target),
  },
  {
    name: 'drivers are compilers: of the agent they import types, formats and each other',
    of: inside('agent/services'),
    forbids: ({ target, typeOnly }) => {
      if (!inside('agent')(target)) return false
      if (inside('agent/services', 'agent/formats')(target)) return false
      return !(typeOnly && (inside('agent/resources')(target) || target === 'agent/host.ts'))
    },
  },
  {
    name: 'formats import nothing of ours but themselves and assertions',
    of: inside('agent/formats'),
    forbids: ({ target }) =>
      inside('agent', 'shared')(target) &&
      !inside('agent/formats')(target) &&
      target !== 'shared/assert.ts',
  },
  {
    name: 'what has side effects in the agent is in the edges',
    of: path =>
      inside('agent')(path) &&
      !inside('agent/edges', 'agent/commands')(path) &&
      path !== 'agent/main.ts',
    forbids: hasSideEffects,
  },
  {
    name: 'fleet and rollout are pure',
    of: path =>
      inside('controller/fleet', 'controller/rollout')(path) &&
      path !== 'controller/rollout/runner.ts',
    forbids: imported =>
      hasSideEffects(imported) ||
      (inside('controller')(imported.target) &&
        !inside('controller/fleet', 'controller/rollout')(imported.target) &&
        !imported.typeOnly),
  },
  {
    name: 'what decides about rotations is pure, and changes contents by rollouts only',
    of: inside('controller/rotation'),
    forbids: (imported, from) =>
      hasSideEffects(imported) ||
      inside('controller/api', 'controller/cli')(imported.target) ||
      (ROTATION_PURE.includes(from) &&
        !imported.typeOnly &&
        inside('controller')(imported.target) &&
        !ROTATION_PURE.includes(imported.target) &&
        !inside('controller/fleet')(imported.target)),
  },
  {
    name: 'the inventory of certificates is pure and sees types of the others only',
    of: inside('controller/certificates'),
    forbids: imported =>
      hasSideEffects(imported) ||
      (inside('controller')(imported.target) &&
        !inside('controller/certificates')(imported.target) &&
        !imported.typeOnly),
  },
  {
    name: 'accounts at Elasticsearch are decided apart from the controller, and purely',
    of: inside('controller/elastic'),
    forbids: (imported, from) =>
      (inside('controller')(imported.target) &&
        !inside('controller/elastic')(imported.target) &&
        imported.target !== 'controller/connection-failure.ts') ||
      (hasSideEffects(imported) && !ELASTIC_EDGES.includes(from)) ||
      (ELASTIC_PURE.includes(from) &&
        !imported.typeOnly &&
        inside('controller/elastic')(imported.target) &&
        !ELASTIC_PURE.includes(imported.target)),
  },
  {
    name: 'the dashboard is a program of its own, which sees types of the contract and no more',
    of: inside('controller/dashboard/page'),
    forbids: ({ target, typeOnly }) =>
      !inside('controller/dashboard/page')(target) &&
      !target.startsWith('preact') &&
      !(typeOnly && inside('shared/contract')(target)),
  },
  {
    name: 'nobody takes anything from the page but who builds it',
    of: path => inside('controller')(path) && !inside('controller/dashboard')(path),
    forbids: ({ target }) => inside('controller/dashboard/page')(target),
  },
  {
    name: 'shared has no side effects',
    of: inside('shared'),
    forbids: hasSideEffects,
  },
  {
    name: 'the API sees the store as an interface',
    of: inside(
      'controller/api',
      'controller/ca',
      'controller/certificates',
      'controller/fleet',
      'controller/issuers',
      'controller/rollout',
    ),
    forbids: ({ target }) =>
      inside('controller/store')(target) && !/\/([a-z-]+-)?store\.ts$/.test(target),
  },
  {
    name: 'the command line of operators talks to the API only',
    of: inside('controller/cli'),
    forbids: ({ target, typeOnly }) =>
      !typeOnly &&
      inside('controller/store', 'controller/api', 'controller/ca', 'controller/rollout')(target),
  },
  {
    name: 'node-forge is behind one file',
    of: path => path !== 'shared/pki/der.ts',
    forbids: ({ target }) => target === 'node-forge' || target.startsWith('node-forge/'),
  },
  {
    name: 'there is no index file to import',
    of: () => true,
    forbids: ({ target }) =>
      inside('shared', 'agent', 'controller')(target) && target.endsWith('/index.ts'),
  },
]

for (const rule of RULES) {
  await t.test(rule.name, async t => {
    const found = sources
      .filter(({ path }) => !path.startsWith('test/') && rule.of(path))
      .flatMap(({ path, imports }) =>
        imports
          .filter(imported => rule.forbids(imported, path))
          .map(({ target }) => `${path} imports ${target}`),
      )
    t.same(found, [])
  })
}

// Longer than LINES_MAX, each with why it is one thing nevertheless.
const LONG: Readonly<Record<string, string>> = {}

await t.test(`no source is longer than ${LINES_MAX} lines`, async t => {
  const long = ours
    .filter(({ text }) => text.split('\n').length - 1 > LINES_MAX)
    .map(({ path }) => path)
  t.same(
    long.filter(path => LONG[path] === undefined),
    [],
  )
  t.same(
    Object.keys(LONG).filter(path => !long.includes(path)),
    [],
    'the list names long files only',
  )
})

await t.test('every import leads to a file', async t => {
  const missing = sources.flatMap(({ path, imports }) =>
    imports
      .filter(({ target }) => inside('shared', 'agent', 'controller', 'test')(target))
      .filter(({ target }) => !existsSync(join(ROOT, target)))
      .map(({ target }) => `${path} imports ${target}`),
  )
  t.same(missing, [])
})

await t.test('every driver is in the registry', async t => {
  const registry = ours.find(({ path }) => path === 'agent/services/registry.ts')
  const drivers = ours.flatMap(({ path, text }) =>
    [...text.matchAll(/^export const (\w+): Driver</gm)].map(match => ({
      path,
      name: match[1] ?? '',
    })),
  )
  t.ok(registry === undefined || drivers.length > 0, 'drivers are found by how they are declared')
  for (const { path, name } of drivers) {
    const registered = registry?.imports.some(
      ({ target, names }) => target === path && names.includes(name),
    )
    t.ok(registered, `${name} of ${path}`)
  }
})

await t.test('every reason code stands in one list only, in kebab case', async t => {
  const lists = ours.flatMap(({ path, text }) =>
    [...text.matchAll(/^export const \w*REASON\w* = ([[{][^]*?\n[\]}])/gm)].map(match => ({
      path,
      codes: [...(match[1] ?? '').matchAll(/^ {2}'?([\w-]+)'?(?::|,$)/gm)].map(
        found => found[1] ?? '',
      ),
    })),
  )
  const seen = new Map<string, string>()
  for (const { path, codes } of lists) {
    t.ok(codes.length > 0, `${path} has codes`)
    for (const code of codes) {
      if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(code)) t.fail(`${code} of ${path} is kebab case`)
      if (seen.has(code)) t.fail(`${code} of ${path} stands in ${seen.get(code)} as well`)
      seen.set(code, path)
    }
  }
})

// Reached by no test, each with why that is so.
const UNTESTED: Readonly<Record<string, string>> = {}

await t.test('every source is reached by a test', async t => {
  const reached = reach(sources.filter(({ path }) => path.endsWith('.test.ts')))
  const unreached = ours
    .map(({ path }) => path)
    .filter(path => !path.endsWith('.d.ts') && !reached.has(path))
  t.same(
    unreached.filter(path => UNTESTED[path] === undefined),
    [],
  )
  t.same(
    Object.keys(UNTESTED).filter(path => existsSync(join(ROOT, path)) && !unreached.includes(path)),
    [],
    'the list names untested files only',
  )
})

/** What is imported from `roots` on, types left out; programs that a test starts are named in its text. */
function reach(roots: readonly Source[]): ReadonlySet<string> {
  const byPath = new Map(sources.map(source => [source.path, source]))
  const reached = new Set<string>()
  const open = [...roots]
  for (let source = open.pop(); source !== undefined; source = open.pop()) {
    if (reached.has(source.path)) continue
    reached.add(source.path)
    const named = source.path.startsWith('test/') ? programsNamedIn(source.text) : []
    const imported = source.imports.filter(({ typeOnly }) => !typeOnly).map(({ target }) => target)
    for (const path of [...imported, ...named]) {
      const next = byPath.get(path)
      if (next !== undefined) open.push(next)
    }
  }
  // Types alone have nothing to run.
  for (const { path, text } of ours) if (hasTypesOnly(text)) reached.add(path)
  return reached
}

function programsNamedIn(text: string): readonly string[] {
  return [...text.matchAll(/\b((?:agent|controller|shared)\/[\w/.-]+\.tsx?)\b/g)].map(
    match => match[1] ?? '',
  )
}

function hasTypesOnly(text: string): boolean {
  return !/^(export )?(async )?(function|const|let|class) /m.test(text)
}

function hasSideEffects({ target, typeOnly, names }: Import): boolean {
  if (typeOnly || !target.startsWith('node:')) return false
  if (names.length > 0 && names.every(name => PURE.includes(name))) return false
  return SIDE_EFFECTS.includes(target.slice('node:'.length))
}

function inside(...folders: readonly string[]): (path: string) => boolean {
  return path => folders.some(folder => path.startsWith(`${folder}/`))
}

function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8')
  // In tests, programs for other processes are texts with imports of their own: only whole lines count.
  const statements = [
    ...text.matchAll(/^(?:import|export)( type)?(?: ([^;'"]*?) from)? ?'([^']+)'/gm),
    ...text.matchAll(/\bimport\(()()'([^']+)'\)/g),
  ]
  const imports = statements.map(([, type, clause = '', specifier = '']) => ({
    target: specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : specifier,
    ...namesOf(clause, type !== undefined && type !== ''),
  }))
  return { path, text, imports }
}

/** `{ a, type B }`: the import is of types only where every name is. */
function namesOf(clause: string, typeOnly: boolean): Pick<Import, 'names' | 'typeOnly'> {
  const braces = /^\{([^}]*)\}$/s.exec(clause.trim())?.[1]
  if (braces === undefined) return { names: [], typeOnly }
  const names = braces
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
  const values = names.filter(name => !name.startsWith('type '))
  return {
    names: names.map(name => name.replace(/^type /, '').replace(/ as .*/, '')),
    typeOnly: typeOnly || (names.length > 0 && values.length === 0),
  }
}
