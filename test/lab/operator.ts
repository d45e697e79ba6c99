// The operator of a lab who keeps looking: one process of the command line on `ctl`, begun with the
// first question.

import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Outcome } from './command.ts'
import { ended } from './ended.ts'
import type { Lab } from './lab.ts'
import { Answered } from './programs/operator.ts'

const PROGRAM = join(import.meta.dirname, 'programs/operator.ts')

export interface Operator {
  /** `tlsfleet ARGUMENTS`, as a process of its own would answer. Throws where the program has ended. */
  ask(argv: readonly string[]): Promise<Outcome>
  end(): Promise<void>
}

export function createOperator(lab: Lab, env: NodeJS.ProcessEnv): Operator {
  const open = new Map<number, PromiseWithResolvers<Outcome>>()
  let child: ChildProcess | undefined
  let asked = 0
  let isOver = false
  const start = (): ChildProcess => {
    const started = lab.spawn('ctl', [process.execPath, PROGRAM], { env, stdin: 'pipe' })
    let said = ''
    started.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    started.stdin?.on('error', () => {})
    if (started.stdout === null) throw new Error('the operator has no output')
    createInterface({ input: started.stdout }).on('line', line => {
      // Who is killed may leave half of one.
      if (isOver) return
      const { id, ...outcome } = Answered.parse(JSON.parse(line))
      open.get(id)?.resolve(outcome)
      open.delete(id)
    })
    started.once('close', code => {
      child = undefined
      for (const { reject } of open.values())
        reject(new Error(`the operator's program ended with ${code}: ${said}`))
      open.clear()
    })
    return started
  }
  return {
    ask(argv) {
      child ??= start()
      asked += 1
      const answer = Promise.withResolvers<Outcome>()
      open.set(asked, answer)
      child.stdin?.write(`${JSON.stringify({ id: asked, argv })}\n`)
      return answer.promise
    },
    end: async () => {
      isOver = true
      if (child !== undefined) await ended(child)
    },
  }
}
