import t from 'tap'
import { OperationalError } from '../../shared/errors.ts'
import { createLogger } from '../../shared/log.ts'
import { generateKey } from '../../shared/pki/keys.ts'
import { Secret } from '../../shared/secret.ts'

function capture(): { readonly lines: string[]; readonly log: ReturnType<typeof createLogger> } {
  const lines: string[] = []
  const log = createLogger({
    name: 'test',
    level: 'info',
    destination: { write: line => lines.push(line) },
  })
  return { lines, log }
}

await t.test('a line is one JSON object with a level in words and the data in fields', async t => {
  const { lines, log } = capture()

  log.child({ node: 'n1' }).warn({ generation: 3 }, 'unit restored')
  log.debug('not at this level')

  t.equal(lines.length, 1)
  const line: unknown = JSON.parse(lines[0] ?? '')
  t.match(line, {
    level: 'warn',
    name: 'test',
    node: 'n1',
    generation: 3,
    msg: 'unit restored',
    time: /^\d{4}-/,
  })
})

await t.test('an error is its chain of messages and its code, a bug has a stack', async t => {
  const { lines, log } = capture()
  const err = new OperationalError('restart-failed', 'could not restart unit', {
    cause: new Error('timed out'),
    details: { unit: 'x.service' },
  })

  log.error({ err }, 'a')
  log.error({ err: new TypeError('oops') }, 'b')
  log.error({ err: 'text' }, 'c')

  const [operational, bug, text] = lines.map(line => JSON.parse(line))
  t.strictSame(operational.err, {
    code: 'restart-failed',
    message: 'could not restart unit: timed out',
    details: { unit: 'x.service' },
  })
  t.match(bug.err, { type: 'TypeError', message: 'oops', stack: /log\.test\.ts/ })
  t.match(text.err, { message: 'text' })
})

await t.test('no secret leaves, in whatever field or text it stands', async t => {
  const { lines, log } = capture()
  const canary = 'canary-4711'
  const pem = (await generateKey('ec-p256')).privateKeyPem.reveal()
  const [, body = ''] = pem.split('\n')

  log.info(
    { token: canary, request: { authorization: canary, deep: { tokenSecret: canary } } },
    'a',
  )
  log.info({ typed: new Secret(canary), list: [new Secret(canary)] }, 'b')
  log.info({ text: `before ${pem} after` }, `message ${pem}`)
  log.error({ err: new Error(`failed with ${pem.slice(0, 120)}`) }, 'd')
  log.child({ passphrase: canary }).info(pem.replace('PRIVATE', 'EC PRIVATE'))

  t.equal(lines.length, 5)
  for (const line of lines) {
    t.notMatch(line, /canary|PRIVATE KEY/)
    t.notOk(line.includes(body))
    t.ok(JSON.parse(line), 'is still JSON')
  }
  t.match(lines[2], /before \[private key\].* after/)
})
