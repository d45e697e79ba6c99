// Nodes of people who followed the guides to the letter: a meta node that serves plaintext although its
// file says otherwise, a Telegraf and a Kibana that do not start, an Elasticsearch with a certificate
// that nobody renews. One pass of the agent repairs each, and says what was wrong.

import t from 'tap'
import { createCa, issue } from '../../simulators/certificates.ts'
import { HTTP, keyEntry, p12 } from '../../simulators/elasticsearch-scene.ts'
import { installAgent } from '../agent-in-node.ts'
import { type Lab, until } from '../lab.ts'
import { withLab } from '../with-lab.ts'
import {
  CONF,
  ELASTICSEARCH_KEYSTORE,
  installElasticsearch,
  installKibana,
  prepareCluster,
  transportStore,
} from './elastic.ts'
import { installMetaNode, installTelegraf, META_CONF, TELEGRAF_CONF } from './influx.ts'
import { bytes } from './install.ts'

const META_GUIDE = `
[http]
  https-enabled = true
  https-certificate = "bundled.pem"
`
const TELEGRAF_GUIDE = String.raw`  urls = ["https://n2:8086"]\n  ssl_ca = "/etc/telegraf/ca.pem"`
const KIBANA_GUIDE = `elasticsearch.ssl.certificateAuthorities: $KBN_PATH_CONF/elasticsearch-ca.pem
server.ssl.certificate: $KBN_PATH_CONF/kibana-server.crt
server.ssl.key: $KBN_PATH_CONF/kibana-server.key
server.ssl.enabled: true
`
const ELASTICSEARCH_GUIDE = `${HTTP}.enabled: true
${HTTP}.keystore.path: "http.p12"
`
const GUIDE_CA = '/root/guide-ca.pem'
const CA = '/root/ca.pem'

interface Result {
  readonly services: readonly {
    readonly service: string
    readonly outcome: string
    readonly activation: string
    readonly reason: { readonly code: string; readonly message: string }
    readonly changes: readonly {
      readonly resource: string
      readonly reason: { readonly code: string }
    }[]
    readonly notices: readonly { readonly code: string }[]
  }[]
}

await withLab(t, { nodes: 3 }, async lab => {
  const scratch = t.testdir({})
  const ca = createCa(scratch)
  const agents = new Map(
    await Promise.all(
      lab.nodes.map(async node => {
        await lab.put(ca.certFile, node, CA)
        await lab.put(ca.keyFile, node, '/root/ca.key')
        return [node, await installAgent(lab, node)] as const
      }),
    ),
  )
  const pass = async (node: string, verb: 'plan' | 'apply', services: readonly unknown[]) => {
    const issuers = { localCa: { certificate: CA, privateKey: '/root/ca.key' } }
    await lab.writeFile(node, '/root/desired', JSON.stringify({ version: 1, services, issuers }))
    const outcome = await agents.get(node)?.run(verb, '--desired', '/root/desired', '--json')
    const { services: found }: Result = JSON.parse(outcome?.stdout || '{"services":[]}')
    const said = found.map(({ service, reason }) => `${service}: ${reason.message}`)
    const text = [`${node}: ${verb}`, ...said, outcome?.stderr].join('; ')
    return { code: outcome?.code, text, services: found }
  }
  const entry = (service: string, node: string, more: object = {}) => ({
    service,
    issuer: 'local-ca',
    names: { dns: [node, 'localhost'], ip: [lab.address(node)] },
    verify: { stableFor: '1s', deadline: '60s' },
    ...more,
  })
  const upstream = (service: string, node: string, port: number) => ({
    upstreams: [{ service, names: { dns: [node] }, port, tls: 'on' }],
    upstreamTrust: [ca.certPem],
  })
  const reasons = (services: Result['services']) =>
    services.map(({ service, changes, notices }) => [
      service,
      [...changes.map(({ reason }) => reason.code), ...notices.map(({ code }) => code)]
        .filter(code => code.startsWith('guide-'))
        .toSorted(),
    ])

  await t.test('a meta node whose TLS settings stand in a table that it ignores', async t => {
    await installMetaNode(lab, 'n1', META_GUIDE)
    await until(async () => (await lab.http('ctl', 'http://n1:8091/status')).status === 200, {
      what: 'it serves plaintext',
    })
    const wish = [entry('influxdb-meta', 'n1')]

    const plan = await pass('n1', 'plan', wish)
    t.strictSame(
      reasons(plan.services),
      [['influxdb-meta', ['guide-key-names', 'guide-table-ignored']]],
      plan.text,
    )
    const applied = await pass('n1', 'apply', wish)

    t.equal(applied.code, 0, applied.text)
    const answer = await lab.http('ctl', 'https://n1:8091/status', { caFile: ca.certFile })
    t.equal(answer.status, 200, answer.error)
    t.ok((await lab.readFile('n1', META_CONF)).endsWith(META_GUIDE), 'which is left alone')
  })

  await t.test('a Telegraf that refuses the option names of the guide', async t => {
    await installTelegraf(lab, 'n2', { version: '1.38.0', output: TELEGRAF_GUIDE, isBroken: true })
    await hasNotStarted(lab, 'n2', 'telegraf', /ssl_ca/)
    const wish = [
      entry('influxdb', 'n2'),
      {
        service: 'telegraf',
        verify: { stableFor: '1s', deadline: '60s' },
        ...upstream('influxdb', 'n2', 8086),
      },
    ]

    const plan = await pass('n2', 'plan', wish)
    t.strictSame(
      reasons(plan.services),
      [
        ['influxdb', []],
        ['telegraf', ['guide-option-names']],
      ],
      plan.text,
    )
    const applied = await pass('n2', 'apply', wish)

    t.equal(applied.code, 0, applied.text)
    const conf = await lab.readFile('n2', TELEGRAF_CONF)
    t.match(conf, /^ {2}tls_ca = "\/etc\/telegraf\/tls\/upstream-ca.pem"$/m)
    t.notMatch(conf, /^ *ssl_ca/m)
    const query = `/query?db=telegraf&q=${encodeURIComponent('SELECT count(n) FROM numbered')}`
    const points = async () => {
      const answer = await lab.http('ctl', `https://n2:8086${query}`, { caFile: ca.certFile })
      return /"values":\[\[/.test(answer.body)
    }
    await until(points, { what: 'metrics arrive at the real influxd' })
  })

  await t.test(
    'an Elasticsearch with a store of its own, and a Kibana that cannot start',
    async t => {
      const guideCa = createCa(scratch, 'guide-ca')
      await lab.put(guideCa.certFile, 'n3', GUIDE_CA)
      const leaf = issue(guideCa, 'n3', { names: 'DNS:n3,DNS:localhost' })
      await installElasticsearch(lab, 'n3', {
        nodes: ['n3'],
        store: transportStore(scratch),
        http: ELASTICSEARCH_GUIDE,
        before: [
          bytes(`${CONF}/http.p12`, p12([keyEntry('http', leaf, guideCa)], 'of-the-guide'), {
            mode: '660',
            owner: 'root:elasticsearch',
          }),
          `echo of-the-guide | ${ELASTICSEARCH_KEYSTORE} add -x -f ${HTTP}.keystore.secure_password`,
        ],
      })
      await prepareCluster(lab, ['n3'], GUIDE_CA)
      await installKibana(lab, 'n3', { urls: ['https://n3:9200'], more: KIBANA_GUIDE })
      await hasNotStarted(lab, 'n3', 'kibana', /KBN_PATH_CONF/)
      const wish = [
        entry('elasticsearch', 'n3'),
        entry('kibana', 'n3', upstream('elasticsearch', 'n3', 9200)),
      ]

      const plan = await pass('n3', 'plan', wish)
      t.strictSame(
        reasons(plan.services),
        [
          ['elasticsearch', ['guide-leftover', 'guide-store']],
          ['kibana', ['guide-variable-path']],
        ],
        plan.text,
      )
      const applied = await pass('n3', 'apply', wish)

      t.equal(applied.code, 0, applied.text)
      const status = await until(
        async () => {
          const answer = await lab.http('ctl', 'https://n3:5601/api/status', {
            caFile: ca.certFile,
          })
          return answer.status === 200 && answer.body
        },
        { what: 'kibana has Elasticsearch' },
      )
      t.match(status, /available/)
      const second = await pass('n3', 'apply', wish)
      t.strictSame(
        second.services.map(({ outcome }) => outcome),
        ['in-sync', 'in-sync'],
        second.text,
      )
    },
  )
})

async function hasNotStarted(lab: Lab, node: string, unit: string, why: RegExp): Promise<void> {
  const journal = ['journalctl', '-b', '-u', unit, '-o', 'cat', '--no-pager']
  await until(async () => why.test(await lab.output(node, journal)), {
    what: `${unit} says ${why.source}`,
    everyMs: 200,
  })
}
