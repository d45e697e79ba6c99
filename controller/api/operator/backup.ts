// GET backup: everything that this controller keeps, as one file, while it goes on working.

import { Readable } from 'node:stream'
import * as z from 'zod/mini'
import { BACKUP_TYPE, OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { Nothing } from '../fields.ts'

export function backupRoute(app: App, { store, clock, log, takeSnapshot }: ApiContext): void {
  // Each takes as much disk as the database: one at a time.
  let isRunning = false
  app.get(
    OPERATOR_ROUTES.backup,
    {
      // The names of all nodes, every spec, and what an attacker needs beside the passphrase.
      config: { policy: { kind: 'operator', role: 'admin' } },
      schema: {
        summary: 'Back up the controller: an archive for `tlsfleet restore`, without secrets',
        querystring: Nothing,
        response: {
          200: { description: 'The archive', content: { [BACKUP_TYPE]: { schema: z.unknown() } } },
        },
      },
    },
    async (request, reply) => {
      if (isRunning) throw new OperationalError('too-many-requests', 'another backup is being made')
      isRunning = true
      try {
        const { name: actor } = operatorOf(request)
        const entry = { atMs: clock.now(), actor, action: 'backup', subject: 'controller' }
        await store.transaction(tx => tx.audit.append(entry))
        const snapshot = await takeSnapshot()
        log.info({ actor, members: snapshot.header.members }, 'backup taken')
        const content = Readable.from(snapshot.content(), { objectMode: false })
        // Also when whoever asked for it has gone before its end, or before its beginning.
        content.once('close', () => {
          snapshot.discard()
          isRunning = false
        })
        void reply.type(BACKUP_TYPE)
        return reply.send(content)
      } catch (error) {
        isRunning = false
        throw error
      }
    },
  )
}
