// What holds for every inventory: each leaf once, and a forecast that only grows with its horizon.

import fc from 'fast-check'
import t from 'tap'
import type { CertificateView } from '../../../shared/contract/certificates.ts'
import type { OutcomeKind } from '../../../shared/contract/report.ts'
import { nodeCertificates } from '../../../controller/certificates/inventory.ts'
import { forecast } from '../../../controller/certificates/renewal.ts'
import {
  agentIdentity,
  compiled,
  DAY_MS,
  inventoryNode,
  leaf,
  NOW_MS,
  report,
  served,
  surroundings,
} from './scene.ts'

const NODES = ['db-1', 'db-2', 'mon-1']
const fleet = compiled(
  `services:
  - { service: influxdb, nodes: { labels: { role: db } } }
  - { service: prometheus, nodes: all }`,
  NODES,
)
const OUTCOMES: readonly OutcomeKind[] = ['in-sync', 'changed', 'waiting', 'failed', 'planned']
const SERVICES = ['influxdb', 'prometheus'] as const
// Issuing costs a signature, so that there is a stock of leaves of all ages to pick from.
const STOCK = new Map(
  NODES.flatMap(node =>
    SERVICES.map(service => [
      `${node} ${service}`,
      [0, 10, 21, 29, 40].map(days => leaf(node, service, { issuedAtMs: NOW_MS - days * DAY_MS })),
    ]),
  ),
)
const identities = [0, 4, 9].map(days => agentIdentity('db-1', NOW_MS - days * DAY_MS))

const listenerOf = (node: string, service: (typeof SERVICES)[number]) => {
  const stock = STOCK.get(`${node} ${service}`) ?? []
  return fc.record({
    record: fc.option(fc.constantFrom(...stock), { nil: undefined }),
    listener: fc.constantFrom('https :1', 'https :2', 'https :3'),
    ok: fc.boolean(),
  })
}

const serviceOf = (node: string, service: (typeof SERVICES)[number]) =>
  fc.record({
    outcome: fc.constantFrom(...OUTCOMES),
    listeners: fc.uniqueArray(listenerOf(node, service), {
      maxLength: 3,
      selector: ({ listener }) => listener,
    }),
  })

const nodeOf = (node: string) =>
  fc
    .record({
      influxdb: fc.option(serviceOf(node, 'influxdb'), { nil: undefined }),
      prometheus: fc.option(serviceOf(node, 'prometheus'), { nil: undefined }),
      isRecorded: fc.boolean(),
      isOnline: fc.boolean(),
      isSelected: fc.boolean(),
      mode: fc.constantFrom('audit' as const, 'stage' as const, 'enforce' as const),
      identity: fc.option(fc.constantFrom(...identities), { nil: undefined }),
    })
    .map(({ isRecorded, isOnline, isSelected, mode, identity, ...services }) =>
      inventoryNode(node, isSelected ? fleet : new Map(), {
        presence: { isOnline },
        mode,
        identity,
        leaves: isRecorded ? SERVICES.flatMap(one => STOCK.get(`${node} ${one}`) ?? []) : [],
        report: {
          services: SERVICES.flatMap(service => {
            const said = services[service]
            if (said === undefined) return []
            const listeners = said.listeners.map(({ record, listener, ok }) =>
              served(record, { listener, ok }),
            )
            return [report(service, listeners, { outcome: said.outcome })]
          }),
        },
      }),
    )

const worlds = fc
  .record({
    nodes: fc.tuple(...NODES.map(nodeOf)),
    nowMs: fc.integer({ min: NOW_MS - 40 * DAY_MS, max: NOW_MS + 60 * DAY_MS }),
    isControllerDown: fc.boolean(),
  })
  .map(({ nodes, nowMs, isControllerDown }) => {
    const around = surroundings(fleet, { nowMs, isControllerDown })
    const listed = nodes.flatMap(node => nodeCertificates(node, around))
    const better = surroundings(fleet, { nowMs, isControllerDown: false })
    const withController = nodes.flatMap(node => nodeCertificates(node, better))
    return { nodes, nowMs, listed, withController }
  })

const keyOf = ({ kind, node, service, listener }: CertificateView) =>
  [kind, node, service, listener].join(' ')

await t.test('every certificate that is served or wanted is listed exactly once', t => {
  fc.assert(
    fc.property(worlds, ({ nodes, listed }) => {
      const keys = listed.map(keyOf)
      if (new Set(keys).size !== keys.length) return false
      return nodes.every(({ node, report: said, identity, desired }) => {
        const seen = (said?.services ?? []).flatMap(({ service, served: listeners }) =>
          listeners
            .filter(({ fingerprint }) => fingerprint !== undefined)
            .map(({ listener }) => `listener ${node} ${service} ${listener}`),
        )
        const wanted = (desired?.summary.servers ?? []).every(({ service }) =>
          listed.some(one => one.node === node && one.service === service),
        )
        const own = identity === undefined ? [] : [`identity ${node}  `]
        return wanted && [...seen, ...own].every(key => keys.includes(key))
      })
    }),
    { numRuns: 150 },
  )
  t.pass('held')
  t.end()
})

await t.test('a longer horizon forecasts what a shorter one does, and more', t => {
  const horizon = fc.integer({ min: 0, max: 90 * DAY_MS })
  fc.assert(
    fc.property(worlds, horizon, horizon, ({ listed, nowMs }, a, b) => {
      const short = forecast(listed, nowMs + Math.min(a, b))
      const long = forecast(listed, nowMs + Math.max(a, b))
      return short.every(one => long.includes(one))
    }),
    { numRuns: 150 },
  )
  t.pass('held')
  t.end()
})

await t.test('what ends before the horizon is forecast, or will be renewed before', t => {
  fc.assert(
    fc.property(worlds, ({ listed, nowMs }) => {
      const ending = forecast(listed, nowMs + 30 * DAY_MS)
      return listed.every(one => {
        const { notAfterMs = Infinity, renewAtMs = Infinity, state } = one
        if (ending.includes(one) || notAfterMs >= nowMs + 30 * DAY_MS) return true
        // Nobody knows when a foreign one is replaced, but somebody who can is at work.
        return state !== 'expired' && (renewAtMs < notAfterMs || state === 'foreign')
      })
    }),
    { numRuns: 150 },
  )
  t.pass('held')
  t.end()
})

await t.test('with the controller gone nothing is renewed that is not renewed with it', t => {
  fc.assert(
    fc.property(worlds, ({ listed, withController, nowMs }) => {
      const before = nowMs + 365 * DAY_MS
      const gone = new Set(forecast(listed, before).map(keyOf))
      return forecast(withController, before).every(one => gone.has(keyOf(one)))
    }),
    { numRuns: 150 },
  )
  t.pass('held')
  t.end()
})

await t.test('states, reasons and dates agree with each other', t => {
  fc.assert(
    fc.property(worlds, ({ listed, nowMs }) =>
      listed.every(({ state, notAfterMs, unrenewed, reason }) => {
        if (reason.code === '' || reason.message === '') return false
        const isOver = notAfterMs !== undefined && notAfterMs <= nowMs
        return (state === 'expired') === isOver && (!isOver || unrenewed !== undefined)
      }),
    ),
    { numRuns: 150 },
  )
  t.pass('held')
  t.end()
})
