// What the agent must know of leases when it starts without its controller: whether its node is in a
// group, and whether it asked for a lease whose end it has not reported yet.

import * as z from 'zod/mini'
import { Generation, parser } from '../shared/contract/schema.ts'
import type { Files } from './host.ts'
import { stateFile } from './state-file.ts'

const Memory = z.strictObject({
  version: z.literal(1),
  /** As the controller said last; absent: it never did. */
  grouped: z.optional(z.boolean()),
  /** Written before the question is sent, so that a crash cannot forget a lease that was granted. */
  asked: z.optional(
    z.strictObject({
      purpose: z.enum(['rollout', 'renewal', 'correction']),
      generation: Generation,
    }),
  ),
})
type Memory = Readonly<z.infer<typeof Memory>>

export interface LeaseMemory {
  grouped(): boolean | undefined
  hasAsked(): boolean
  /** Writes only what differs. */
  setGrouped(grouped: boolean): Promise<void>
  setAsked(asked: Memory['asked']): Promise<void>
}

export async function openLeaseMemory(files: Files, stateDirectory: string): Promise<LeaseMemory> {
  const store = stateFile(files, `${stateDirectory}/lease.json`, parser('lease memory', Memory))
  let memory: Memory = (await store.read()).value ?? { version: 1 }
  async function write(next: Memory): Promise<void> {
    await store.write(next)
    memory = next
  }
  return {
    grouped: () => memory.grouped,
    hasAsked: () => memory.asked !== undefined,
    async setGrouped(grouped) {
      if (memory.grouped !== grouped) await write({ ...memory, grouped })
    },
    async setAsked(asked) {
      // Any question will do: what is owed for it is a report.
      if ((memory.asked === undefined) === (asked === undefined)) return
      const { asked: _asked, ...rest } = memory
      await write(asked === undefined ? rest : { ...rest, asked })
    },
  }
}
