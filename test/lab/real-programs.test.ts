// The real programs do what their simulators are held to. They need no lab, only to be here: on PATH, or
// in the image of the lab's nodes.

import t from 'tap'
import { findProgram } from '../sandbox/sandbox.ts'
import { testInfluxd } from '../simulators/influxdb-behaviour.ts'
import { testPrometheus } from '../simulators/prometheus-behaviour.ts'
import { LAB_UNAVAILABLE } from './availability.ts'

const MISSING = `${LAB_UNAVAILABLE}: neither on PATH nor in an image of the lab's nodes`
const prometheus = findProgram('prometheus')
const promtool = findProgram('promtool')
const influxd = findProgram('influxd')

const names = { prometheus: prometheus && promtool, influxd }
for (const [name, path] of Object.entries(names)) {
  if (path === undefined) await t.test(name, { skip: MISSING }, async () => {})
}
if (prometheus !== undefined && promtool !== undefined) {
  await testPrometheus(t, { name: 'real program', prometheus: [prometheus], promtool: [promtool] })
}
if (influxd !== undefined) await testInfluxd(t, { name: 'real program', argv: [influxd] })
