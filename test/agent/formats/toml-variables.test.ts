import fc from 'fast-check'
import t from 'tap'
import { assert } from '../../../shared/assert.ts'
import {
  editTomlWithVariables,
  readTomlWithVariables,
} from '../../../agent/formats/toml-variables.ts'

const CONF = `# \${NOT_A_VARIABLE} in a comment
[agent]
  interval = "\${INTERVAL:-10s}"
  metric_buffer_limit = \${BUFFER}
[[outputs.influxdb]]
  urls = ["\${INFLUX_URL}"] # $X
  skip_database_creation = \${SKIP:-true}
  timeout = $TIMEOUT
  [outputs.influxdb.tagpass]
    host = ['$literal', """ \${IN} # not a comment
 """]
[[outputs.influxdb]]
  urls = [ "http://a:8086",
    # the second
    "http://b:8086" ]
`

await t.test('variables that are no TOML do not stand in the way of an edit', async t => {
  const result = editTomlWithVariables(CONF, [
    { path: ['outputs', 'influxdb', 0, 'tls_ca'], value: '/ca.pem' },
    { path: ['outputs', 'influxdb', 1, 'urls'], value: ['https://a:8086', 'https://b:8086'] },
  ])
  assert(result.kind === 'edited', 'the file can be edited')
  const lines = result.text.split('\n')
  t.strictSame(
    CONF.split('\n').filter(line => !lines.includes(line)),
    ['  urls = [ "http://a:8086",', '    "http://b:8086" ]'],
  )
  const before = lines.slice(0, lines.indexOf('  [outputs.influxdb.tagpass]'))
  t.ok(before.includes('  tls_ca = "/ca.pem"'), 'the new key stands before the first sub-table')
})

await t.test('values are read with the variables in them', async t => {
  t.match(readTomlWithVariables(CONF), {
    kind: 'read',
    value: {
      agent: { interval: '${INTERVAL:-10s}', metric_buffer_limit: '${BUFFER}' },
      outputs: {
        influxdb: [
          { urls: ['${INFLUX_URL}'], skip_database_creation: '${SKIP:-true}', timeout: '$TIMEOUT' },
          { urls: ['http://a:8086', 'http://b:8086'] },
        ],
      },
    },
  })
})

await t.test('a variable in the place of a key or of lines is not edited around', async t => {
  for (const text of ['${MORE}\n[agent]\n', '[agent]\n${KEY} = 1\n${LINES}\n'])
    t.match(editTomlWithVariables(text, [{ path: ['agent', 'a'], value: 1 }]), { kind: 'refused' })
})

await t.test('what is not edited stays, whatever variables there are', async t => {
  const piece = fc.constantFrom('${A}', '$B', '"${C}"', '7777000000000000001', "'$D'", '1', '"#"')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), values => {
      const text = values.map((value, index) => `k${index} = ${value} # \${E}\n`).join('')
      const result = editTomlWithVariables(text, [{ path: ['own'], value: 'x' }])
      return (
        result.kind === 'edited' &&
        result.text.replace(/^own = "x"\n/m, '') === text &&
        JSON.stringify(
          editTomlWithVariables(result.text, [{ path: ['own'], value: undefined }]),
        ) === JSON.stringify({ kind: 'edited', text })
      )
    }),
    { numRuns: 200 },
  )
  t.pass()
})
