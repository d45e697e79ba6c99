// The agent on an image that is being built: the files of a Debian with both products, nothing of
// which runs. Their programs do, inside of that root.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { LAB_SCRIPT, labUnavailable } from '../lab/availability.ts'
import { type Outcome, runCommand } from '../lab/command.ts'

const AGENT = join(dirname(dirname(import.meta.dirname)), 'agent/main.ts')
const PROGRAMS = ['prometheus', 'promtool', 'influxd', 'test'].map(name => `/usr/bin/${name}`)
// A library has the name that it is asked for by, and the one that this leads to.
const LIBRARIES = `for file in $(ldd "$@" | grep -o '/lib[^ :]*' | sort -u); do
  echo "/usr$file"; realpath "$file"
done`
// Of no package, so that no account of this machine is taken for them.
const IDS = { prometheus: { uid: 7100, gid: 7101 }, influxdb: { uid: 7200, gid: 7202 } }

const DESIRED = JSON.stringify({
  version: 1,
  services: ['prometheus', 'influxdb'].map(service => ({
    service,
    issuer: 'self-signed',
    names: { dns: ['image.example.org'] },
  })),
})

const why = labUnavailable()
if (why === undefined) await testImages()
else t.plan(0, why)

async function testImages() {
  t.setTimeout(900_000)
  process.umask(0o022)

  await t.test('both products are put in place, with the ids of the image', async t => {
    const image = await createImage(t)

    const planned = await image.agent('plan')
    t.match(planned, { code: 2, services: { prometheus: 'planned', influxdb: 'planned' } })
    t.match(planned.text, 'web-config.yml')
    t.match(await image.agent('verify'), { code: 1 })
    t.match(await image.agent('apply'), {
      code: 0,
      services: { prometheus: 'changed', influxdb: 'changed' },
      reasons: ['written-offline', 'written-offline'],
    })
    for (const command of ['plan', 'verify', 'apply'])
      t.match(await image.agent(command), {
        code: 0,
        services: { prometheus: 'in-sync', influxdb: 'in-sync' },
        reasons: ['in-sync-offline', 'in-sync-offline'],
      })

    for (const service of ['prometheus', 'influxdb'] as const) {
      const directory = `etc/${service}/tls/current`
      t.match(statSync(image.at(`${directory}/key.pem`)), { ...IDS[service], mode: 0o100600 })
      t.match(statSync(image.at(directory)), { uid: 0, gid: IDS[service].gid, mode: 0o40750 })
    }
    t.match(image.read('etc/influxdb/influxdb.conf'), 'https-enabled = true')
    t.match(image.read('etc/default/prometheus'), '--web.config.file=/etc/prometheus/web-config')
    t.notMatch(image.read('etc/prometheus/web-config.yml'), image.root, 'paths are the image’s own')

    writeFileSync(
      image.at('etc/influxdb/influxdb.conf'),
      image.read('etc/influxdb/influxdb.conf').replace('https-enabled = true', '#'),
    )
    t.match(await image.agent('verify'), { code: 1 })
  })

  await t.test('a checker of the image that refuses leaves everything as it is', async t => {
    const image = await createImage(t)
    const refusing = '#!/usr/bin/influxd-real\n'
    writeFileSync(image.at('usr/bin/promtool'), refusing)
    const before = image.read('etc/default/prometheus')

    const applied = await image.agent('apply')

    t.match(applied, { code: 1, services: { prometheus: 'failed', influxdb: 'changed' } })
    t.match(applied.text, 'could not run /usr/bin/promtool')
    t.equal(image.read('etc/default/prometheus'), before)
  })

  await t.test('a product of another architecture is left alone, and said why', async t => {
    const image = await createImage(t)
    writeFileSync(image.at('usr/bin/influxd'), '\x7fELF of another machine')

    const planned = await image.agent('plan')

    t.match(planned, { code: 1, services: { prometheus: 'planned', influxdb: 'unsupported' } })
    t.match(planned.text, /influxd version told no version: could not run/)
  })
}

/** A root with what the products need, from the image of the lab's nodes. */
async function createImage(t: Test) {
  const lab = spawnSync('bash', [LAB_SCRIPT, 'image'], { encoding: 'utf8' }).stdout.trim()
  const libraries = spawnSync('chroot', [lab, '/bin/sh', '-c', LIBRARIES, 'sh', ...PROGRAMS], {
    encoding: 'utf8',
  })
  const root = t.testdir()
  const at = (path: string) => join(root, path)
  const parts = new Set(
    [
      ...'bin lib lib64 etc/passwd etc/group etc/prometheus etc/influxdb etc/default'.split(' '),
      ...'etc/systemd/system/influxd.service var/lib/prometheus'.split(' '),
      ...['prometheus', 'influxdb'].map(name => `usr/lib/systemd/system/${name}.service`),
      ...PROGRAMS,
      ...libraries.stdout.trim().split('\n'),
    ].map(path => path.replace(/^\//, '')),
  )
  // Not every architecture has each of the links.
  const found = [...parts].filter(path => statSync(join(lab, path), { throwIfNoEntry: false }))
  const copy = ['-a', '--parents', '--', ...found, root]
  succeed(await runCommand('cp', copy, { cwd: lab }))
  mkdirSync(at('tmp'))
  for (const [name, { uid, gid }] of Object.entries(IDS)) {
    const line = new RegExp(`^${name}:x:\\d+:`, 'm')
    edit(at('etc/passwd'), text => text.replace(line, `${name}:x:${uid}:`))
    edit(at('etc/group'), text => text.replace(line, `${name}:x:${gid}:`))
  }
  edit(at('etc/passwd'), text => text.replace(/^prometheus:x:7100:\d+/m, 'prometheus:x:7100:7101'))
  const desired = at('tmp/desired.json')
  writeFileSync(desired, DESIRED)
  return {
    root,
    at,
    read: (path: string) => readFileSync(at(path), 'utf8'),
    async agent(command: string) {
      const argv = [AGENT, command, '--desired', desired, '--root', root, '--json']
      const { code, stdout: text, stderr } = await runCommand(process.execPath, argv)
      const result: Result = text === '' ? { services: [] } : JSON.parse(text)
      const services = Object.fromEntries(
        result.services.map(one => [one.service, one.outcome] as const),
      )
      return { code, services, reasons: result.services.map(one => one.reason.code), text, stderr }
    },
  }
}

interface Result {
  readonly services: readonly {
    readonly service: string
    readonly outcome: string
    readonly reason: { readonly code: string }
  }[]
}

function edit(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, 'utf8')))
}

function succeed({ code, stderr }: Outcome): void {
  if (code !== 0) throw new Error(stderr)
}
