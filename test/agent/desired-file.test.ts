// The desired state as a file: its defaults, and a clear message for everything that is wrong in it.

import t from 'tap'
import { CLIENT_SERVICES, SERVICE_NAMES, isServer } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import { desiredFileSchema, parseDesiredFile } from '../../agent/desired-file.ts'

const SERVICE = 'service: prometheus, issuer: self-signed, names: { dns: [p.example.org] }'
const parse = (document: object) =>
  parseDesiredFile(JSON.stringify({ version: 1, ...document }), 'd.json')
const fileOf = (service: string, more = '') => `version: 1\nservices:\n  - { ${service} }\n${more}`

await t.test('the least that can be said is enough; the rest has defaults', async t => {
  const { services, issuers } = await parseDesiredFile(fileOf(SERVICE), 'd.yaml')

  t.strictSame(issuers, { files: {}, localCa: undefined })
  t.strictSame(services, [
    {
      service: 'prometheus',
      certificate: {
        issuer: 'self-signed',
        names: { dns: ['p.example.org'], ip: [] },
        key: 'ec-p256',
        lifetimeMs: 90 * 86_400_000,
        renewBeforeMs: 30 * 86_400_000,
      },
      trust: [],
      clientAuth: 'none',
      minVersion: '1.2',
      verify: { stableForMs: 5_000, deadlineMs: 300_000 },
      tls: 'on',
      upstreams: [],
      upstreamTrust: [],
      options: { externalUrl: 'manage' },
    },
  ])
})

await t.test('every product can be named, and a client says nothing of certificates', async t => {
  const clients: readonly string[] = CLIENT_SERVICES
  const entries = SERVICE_NAMES.map(service =>
    clients.includes(service)
      ? { service }
      : { service, issuer: 'self-signed', names: { dns: ['a.example.org'] } },
  )

  const { services } = await parse({ services: entries })

  t.strictSame(
    services.map(({ service }) => service),
    [...SERVICE_NAMES],
  )
  t.strictSame(
    services.filter(tls => !isServer(tls)).map(({ service }) => service),
    [...CLIENT_SERVICES],
  )
  await t.rejects(
    parse({ services: [{ service: 'telegraf', issuer: 'self-signed', names: { dns: ['a.b'] } }] }),
    /services\.0/,
  )
})

await t.test('TLS can be switched off, and upstreams can be named', async t => {
  const ca = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n'
  const upstream = { service: 'influxdb', names: { dns: ['DB.example.org'] }, port: 8086 }

  const { services } = await parse({
    services: [
      {
        service: 'telegraf',
        tls: 'off',
        upstreams: [{ ...upstream, tls: 'off' }],
        upstreamTrust: [ca],
      },
    ],
  })

  t.match(services[0], {
    tls: 'off',
    upstreams: [{ ...upstream, names: { dns: ['db.example.org'], ip: [] }, tls: 'off' }],
    upstreamTrust: [ca],
  })
  t.equal(
    (await parseDesiredFile(fileOf(`${SERVICE}, tls: off`), 'd.yaml')).services[0]?.tls,
    'off',
  )
})

await t.test('a pair on the node can be named for every product with a listener', async t => {
  const pair = { certificate: '/c.pem', privateKey: '/k.pem' }
  const issuers = (files: object) => parse({ services: [], issuers: { files } })

  t.strictSame((await issuers({ kibana: pair, elasticsearch: pair })).issuers.files, {
    kibana: pair,
    elasticsearch: pair,
  })
  await t.rejects(issuers({ telegraf: pair }), /telegraf|files/)
})

await t.test('everything can be said, in YAML or JSON, and means the same', async t => {
  const yaml = `version: 1
services:
  - service: influxdb
    issuer: local-ca
    names: { dns: [B.example.org, a.example.org], ip: [192.0.2.1, "2001:DB8::0001"] }
    key: rsa-3072
    lifetime: 12h
    renewBefore: 90m
    minVersion: "1.3"
    clientAuth: required
    trust: ["-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\\n"]
    verify: { stableFor: 1s, deadline: 2m }
    options: { meta: tls }
issuers:
  localCa: { certificate: /ca.pem, privateKey: /ca.key }
  files: { prometheus: { certificate: /p.pem, privateKey: /p.key } }
`
  const parsed = await parseDesiredFile(yaml, 'd.yaml')

  t.match(parsed.services[0], {
    service: 'influxdb',
    certificate: {
      names: { dns: ['a.example.org', 'b.example.org'], ip: ['192.0.2.1', '2001:db8::1'] },
      lifetimeMs: 12 * 3_600_000,
      renewBeforeMs: 90 * 60_000,
    },
    verify: { stableForMs: 1_000, deadlineMs: 120_000 },
    options: { meta: 'tls', cluster: 'leave' },
  })
  t.strictSame(parsed.issuers, {
    files: { prometheus: { certificate: '/p.pem', privateKey: '/p.key' } },
    localCa: { certificate: '/ca.pem', privateKey: '/ca.key' },
  })
  const { parse } = await import('yaml')
  t.strictSame(await parseDesiredFile(JSON.stringify(parse(yaml)), 'd.json'), parsed)
})

const LAUGHS = `a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
`

const BAD: Readonly<Record<string, readonly [text: string, message: RegExp]>> = {
  'an unknown field': [fileOf(`${SERVICE}, nmaes: 1`), /services\.0.*"nmaes"/],
  'an unknown field at the top': [fileOf(SERVICE, 'service: 1\n'), /"service"/],
  'an unknown option': [fileOf(`${SERVICE}, options: { x: 1 }`), /services\.0\.options.*"x"/],
  "another product's option": [fileOf(`${SERVICE}, options: { meta: tls }`), /options.*"meta"/],
  'an unknown service': [fileOf('service: grafana'), /services\.0\.service/],
  'a version of the future': ['version: 2\nservices: []', /version/],
  'no version': ['services: []', /version/],
  'no services': ['version: 1', /services/],
  'no issuer': [fileOf('service: prometheus, names: { dns: [a.b] }'), /services\.0\.issuer/],
  'the issuer of a controller': [
    fileOf(SERVICE.replace('self-signed', 'internal')),
    /"internal".*prometheus.*without a controller/,
  ],
  'another issuer of a controller': [
    fileOf(SERVICE.replace('self-signed', 'provided')),
    /"provided".*prometheus.*without a controller/,
  ],
  'a service twice': [`${fileOf(SERVICE)}  - { ${SERVICE} }\n`, /d\.yaml lists prometheus twice/],
  'no names': [
    fileOf(SERVICE.replace('{ dns: [p.example.org] }', '{}')),
    /prometheus has no names/,
  ],
  'a name that is none': [fileOf(SERVICE.replace('p.example.org', '"a b"')), /a b/],
  'an address that is none': [
    fileOf(SERVICE.replace('dns: [p.example.org]', 'ip: [300.1.1.1]')),
    /300\.1\.1\.1/,
  ],
  'a wrong duration': [fileOf(`${SERVICE}, lifetime: 90 days`), /lifetime.*not a duration/],
  'a duration of nothing': [fileOf(`${SERVICE}, lifetime: 0s`), /lifetime.*not a duration/],
  'a duration without a unit': [fileOf(`${SERVICE}, lifetime: 90`), /lifetime/],
  'a lifetime of a century': [fileOf(`${SERVICE}, lifetime: 36500d`), /lifetime/],
  'a version that YAML takes for a number': [fileOf(`${SERVICE}, minVersion: 1.2`), /minVersion/],
  'a relative path': [
    fileOf(SERVICE, 'issuers: { localCa: { certificate: ca.pem, privateKey: /k } }\n'),
    /issuers\.localCa\.certificate.*absolute/,
  ],
  'trust that is not PEM': [fileOf(`${SERVICE}, trust: [/etc/ca.pem]`), /trust/],
  'a syntax error': ['version: 1\nservices: [\n  - x', /d\.yaml:\d+:\d+/],
  'a key twice': ['version: 1\nversion: 1\nservices: []', /d\.yaml:2:1.*unique/],
  'two documents': ['version: 1\n---\nversion: 1', /d\.yaml/],
  'tabs for indentation': ['version: 1\nservices:\n\t- x', /d\.yaml:3/],
  'nothing at all': ['', /desired state/],
  'something else': ['- hello', /desired state/],
  'an alias bomb': [LAUGHS, /d\.yaml|desired state/],
  'a name that nothing was given': ['version: *one\nservices: []', /d\.yaml:1:\d+|one/],
}

for (const [what, [text, message]] of Object.entries(BAD)) {
  await t.test(`${what} is refused with a clear message`, async t => {
    const error = await parseDesiredFile(text, 'd.yaml').catch(caught => caught)

    if (!(error instanceof OperationalError)) throw error
    t.equal(error.code.includes('invalid'), true, error.code)
    t.match(error.message, message)
    t.ok(error.message.length < 1_000, 'short enough to read')
  })
}

await t.test('the published schema is what the parser accepts, described', async t => {
  t.match(desiredFileSchema(), {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    required: ['version', 'services'],
    additionalProperties: false,
    properties: { services: { type: 'array' }, issuers: { type: 'object' } },
  })
})
