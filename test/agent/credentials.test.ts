// What a product is asked with, from files that only the node's own configuration names.

import t from 'tap'
import { authorizationFor } from '../../agent/credentials.ts'
import { newNode } from '../support/memory-fleet.ts'

const { host, files } = newNode()
const header = async (...question: Parameters<typeof authorizationFor>) =>
  (await authorizationFor(...question))?.reveal()
const key = { apiKeyFile: '/etc/key' }
const user = { user: 'probe', passwordFile: '/etc/password' }

await t.test('an API key and a password become a header', async t => {
  files.put('/etc/key', 'VuaCfGcBCdbkQm-e5aOx\n')
  files.put('/etc/password', 'pass word\r\n')
  t.equal(await header(host, key), 'ApiKey VuaCfGcBCdbkQm-e5aOx')
  t.equal(await header(host, user), `Basic ${Buffer.from('probe:pass word').toString('base64')}`)
})

await t.test(
  'without them, or with something else, the product is asked as by anybody',
  async t => {
    t.equal(await header(host, undefined), undefined)
    t.equal(await header(host, { apiKeyFile: '/etc/none' }), undefined)
    for (const text of ['', '\n', 'two lines\nof it\n', 'k\r\nHost: other'])
      t.equal(await header(host, put(text)), undefined, JSON.stringify(text))
  },
)

function put(text: string) {
  files.put('/etc/key', text)
  return key
}
