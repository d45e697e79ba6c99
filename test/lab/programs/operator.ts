// An operator at a terminal that stays: runs on `ctl` in a lab, carries out the command lines that it
// reads, one JSON document a line, and answers each by a line. Tests ask again and again how far
// something is; a process for each look costs more than what is looked at.
// `{"id": 1, "argv": ["--json", "status"]}` → `{"id": 1, "code": 0, "stdout": "…", "stderr": "…"}`

import { createInterface } from 'node:readline'
import * as z from 'zod/mini'
import { run } from '../../../controller/cli/main.ts'
import { systemClock } from '../../../shared/clock.ts'

const Line = z.object({ id: z.number(), argv: z.array(z.string()) })

export const Answered = z.object({
  id: z.number(),
  code: z.number(),
  stdout: z.string(),
  stderr: z.string(),
})
export type Answered = z.infer<typeof Answered>

async function carryOut({ id, argv }: z.infer<typeof Line>): Promise<Answered> {
  const said = { stdout: '', stderr: '' }
  const code = await run(argv, {
    terminal: {
      out: text => void (said.stdout += text),
      err: text => void (said.stderr += text),
      canAsk: false,
      errorIsTerminal: false,
      size: undefined,
      ask: async () => '',
      askSecretly: async () => '',
      readInput: async () => '',
    },
    environment: process.env,
    clock: systemClock,
    signal: new AbortController().signal,
  })
  return { id, code, ...said }
}

async function main(): Promise<void> {
  const open = new Set<Promise<void>>()
  for await (const line of createInterface({ input: process.stdin })) {
    const carried = carryOut(Line.parse(JSON.parse(line))).then(answered => {
      process.stdout.write(`${JSON.stringify(answered)}\n`)
      open.delete(carried)
    })
    open.add(carried)
  }
  await Promise.all(open)
}

if (import.meta.main) await main()
