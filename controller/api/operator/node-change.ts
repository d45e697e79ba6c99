// PATCH of a node: its labels, and the names that its certificates may have. Nothing on the node moves by
// it: documents in force stay as they are until a rollout brings what follows from it, and until then
// nothing is signed for a name that was taken away.

import { NodeChange, NodeView, OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import type { NodeRecord } from '../../store/store.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { NodeParams, reasonOf } from '../fields.ts'
import { tellVersion, versionOfNode } from '../versions.ts'
import { nodeView } from './node-view.ts'
import { requireNames, requireNode, requireNodeVersion, requireZones } from './nodes.ts'

export function nodeChangeRoute(app: App, context: ApiContext): void {
  const { store, clock, log, wakeRunner } = context
  app.patch(
    OPERATOR_ROUTES.node,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'Change the labels of a node, or the names that its certificates may have',
        params: NodeParams,
        body: NodeChange,
        response: { 200: NodeView },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const { outsideZones, reason: given } = request.body
      const actor = operatorOf(request).name
      const view = await store.transaction(async tx => {
        await requireNodeVersion(tx, request, name)
        const before = await requireNode(tx, name)
        const after = changed(before, request.body)
        const attempt = `change node ${name}`
        // What it has already is not judged again.
        if (request.body.names !== undefined)
          requireZones(context, { attempt, ...(outsideZones && { outsideZones }) }, after.names)
        await tx.nodes.change(name, after)
        const reason = reasonOf('node-change', given)
        const entry = { atMs: clock.now(), actor, action: 'node-change', subject: name, ...reason }
        await tx.audit.append(entry)
        tellVersion(reply, versionOfNode(after, await tx.nodes.lockOf(name)))
        return nodeView(context, tx, after)
      })
      wakeRunner()
      const { labels, names } = view
      log.info({ node: name, actor, labels, names }, 'node changed')
      return view
    },
  )
}

function changed(node: NodeRecord, { labels = {}, names }: NodeChange): NodeRecord {
  const next = { ...node.labels }
  for (const [key, value] of Object.entries(labels)) {
    if (value === null) Reflect.deleteProperty(next, key)
    else next[key] = value
  }
  if (names === undefined) return { ...node, labels: next }
  const { dns = node.names.dns, ip = node.names.ip } = names
  return { ...node, labels: next, names: requireNames({ name: node.name, names: { dns, ip } }) }
}
