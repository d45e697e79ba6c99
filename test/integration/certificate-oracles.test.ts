// Every kind of certificate that this product issues is accepted by OpenSSL, Node, Java and Go, and
// what must not be accepted is refused by them. Where one of them is laxer, it says so here: what
// protects such a client is that nobody issues these certificates.

import t from 'tap'
import { ORACLES, withOpinions } from '../support/certificate-oracles.ts'
import { issued } from './issued-certificates.ts'
import { refusedClients, refusedServers } from './refused-certificates.ts'

t.setTimeout(900_000)

const ACCEPTED = Object.fromEntries(ORACLES.map(name => [name, 'accepted']))

await t.test('our own linter has nothing to say of any of them', async t => {
  t.ok(issued.lint.length > 20)
  for (const [title, findings] of issued.lint) t.same(findings, [], title)
})

await t.test('certificates and the programs of this world', async t => {
  const own = issued.servers.find(({ title }) => title === 'self-signed')
  const asker = issued.clients.find(({ title }) => title === 'identity')
  if (own === undefined || asker === undefined) throw new Error('nothing was issued')
  const refused = [...refusedServers, ...refusedClients]
  const questions = {
    servers: [...issued.servers, ...refusedServers.map(({ question }) => question)],
    clients: [...issued.clients, ...refusedClients.map(({ question }) => question)],
    own,
    asker,
  }

  await withOpinions(t, questions, opinions => {
    for (const { title } of [...issued.servers, ...issued.clients])
      t.same(opinions.get(title), ACCEPTED, `${title}: everyone accepts it`)
    for (const { question, lax } of refused) {
      const all = opinions.get(question.title)
      const accepting = ORACLES.filter(name => all?.[name] === 'accepted')
      const others = accepting.filter(name => !lax.includes(name))
      t.same(others, [], `${question.title}: accepted by ${lax.join(', ') || 'nobody'} at most`)
      t.comment(ORACLES.map(name => `${name}: ${all?.[name] ?? ''}`).join(' | '))
    }
  })
})
