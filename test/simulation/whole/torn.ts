// What an agent that dies leaves behind on its node.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { MemoryNode } from '../../support/memory-node.ts'
import { influxdbProduct, prometheusProduct } from '../../support/memory-products.ts'
import type { Machine } from './machine.ts'
import { telegrafProduct } from './telegraf.ts'

/**
 * What an agent may never leave behind, wherever it dies: a certificate in use without its key. Outside
 * of a switch every product must also come up with the files as they are.
 */
export function whyTorn(machine: Machine): string | undefined {
  const { node } = machine
  for (const [service, one] of PRODUCTS) {
    if (!machine.services.includes(service)) continue
    const pair = pairProblem(node, `/etc/${service}/tls/current`)
    if (pair !== undefined) return `${service}: ${pair}`
    const running = machine.hasJournal() ? undefined : one.start(node.files, {})
    if (machine.hasJournal()) continue
    if (running === undefined) return `${service} would not start`
    if (service !== 'telegraf' && running.serve().kind === 'dead')
      return `${service} would serve nothing`
  }
  return undefined
}

const PRODUCTS = [
  ['influxdb', influxdbProduct],
  ['prometheus', prometheusProduct],
  ['telegraf', telegrafProduct],
] as const

function pairProblem({ files, tree }: MemoryNode, link: string): string | undefined {
  if (tree.get(link) === undefined) return undefined
  const chain = files.text(`${link}/chain.pem`)
  const key = files.text(`${link}/key.pem`)
  if (chain === undefined || key === undefined) return 'its release is not complete'
  const leaf = new X509Certificate(chain)
  return leaf.checkPrivateKey(createPrivateKey(key)) ? undefined : 'its pair is torn'
}
