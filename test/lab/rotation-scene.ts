// What an operator does with a rotation in a lab, and what people who use the services do meanwhile.

import { renameSync, writeFileSync } from 'node:fs'
import { RotationView } from '../../shared/contract/rotations.ts'
import type { LabFleet } from '../support/lab-fleet.ts'
import { until } from './lab.ts'

export interface RotationScene {
  readonly status: () => Promise<RotationView>
  /** Resolves with the first view of which it holds; the last one is in the error. */
  readonly untilStatus: (
    what: string,
    isIt: (view: RotationView) => boolean,
  ) => Promise<RotationView>
  /** The phase is complete, and the next one waits for the operator. */
  readonly untilComplete: (phase: RotationView['phase']) => Promise<RotationView>
  /** Begins a rotation that waits before every phase; resolves with its id. */
  readonly rotate: () => Promise<string>
  readonly advance: (id: string) => Promise<void>
  /** Through all confirmations that are left; throws unless it completes. */
  readonly finish: (id: string) => Promise<void>
  /** The trust file of the fleet says what `tlsfleet trust` says now; resolves with the number of CAs. */
  readonly learnTrust: () => Promise<number>
}

export function createRotationScene(fleet: LabFleet): RotationScene {
  const status = async () => RotationView.parse(await fleet.look(['ca', 'status']))
  const untilStatus: RotationScene['untilStatus'] = async (what, isIt) => {
    let last = ''
    const look = async () => {
      const view = await status()
      last = JSON.stringify({ ...view, nodes: [], history: [] })
      return isIt(view) ? view : undefined
    }
    try {
      return await until(look, { what, everyMs: 500, timeoutMs: 400_000 })
    } catch (error) {
      throw new Error(`${String(error)}: ${last}`)
    }
  }
  const advance = async (id: string) => void (await fleet.cliJson(['ca', 'advance', id, '--yes']))
  return {
    status,
    untilStatus,
    advance,
    untilComplete: phase =>
      untilStatus(
        `${phase} is complete`,
        view => view.phase === phase && view.waitsFor === 'advance',
      ),
    rotate: async () => {
      await fleet.cliJson(['ca', 'rotate', '--step', '--yes'])
      return (await status()).id
    },
    async finish(id) {
      for (;;) {
        const view = await untilStatus(
          'it ends or waits',
          ({ status: now, waitsFor }) => now !== 'running' || waitsFor === 'advance',
        )
        if (view.status === 'completed') return
        if (view.status === 'reversed') throw new Error(`rotation ${id} was taken back`)
        await advance(id)
        await until(async () => (await status()).version > view.version, { what: 'it moves' })
      }
    },
    async learnTrust() {
      const { code, stdout, stderr } = await fleet.cli(['trust'])
      if (code !== 0) throw new Error(`tlsfleet trust: ${stderr}`)
      writeFileSync(`${fleet.trustFile}.new`, stdout)
      renameSync(`${fleet.trustFile}.new`, fleet.trustFile)
      return stdout.split('BEGIN CERTIFICATE').length - 1
    },
  }
}
