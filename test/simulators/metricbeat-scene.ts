// For the tests of the simulator of Metricbeat: a configuration, the process itself and an Elasticsearch that
// counts what arrives.

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from '../sandbox/sandbox.ts'
import { createCa, issue, write } from './certificates.ts'
import { startDaemon } from './daemon.ts'
import { type FakeElasticsearch, fakeElasticsearch } from './fake-elasticsearch.ts'

const METRICBEAT = join(import.meta.dirname, 'metricbeat/metricbeat-sim.ts')
const NODE_COMPILE_CACHE = join(tmpdir(), 'node-compile-cache')

interface Stats {
  readonly output: {
    readonly events: Readonly<Record<'acked' | 'failed' | 'dropped' | 'active', number>>
  }
  readonly pipeline: { readonly events: Readonly<Record<'published' | 'failed', number>> }
}

function isStats(value: unknown): value is { readonly libbeat: Stats } {
  return typeof value === 'object' && value !== null && 'libbeat' in value
}

/** The numbers of the events that have arrived. */
export function sequencesOf(elasticsearch: FakeElasticsearch): readonly number[] {
  return elasticsearch.documents().map(({ sim }) => Number(/\d+/.exec(JSON.stringify(sim))?.[0]))
}

export async function layOut(t: Test) {
  const directory = t.testdir()
  const ca = createCa(directory)
  const a = issue(ca, 'a')
  const elasticsearch = await fakeElasticsearch()
  t.teardown(() => elasticsearch.stop())
  const port = await freePort()
  const configure = (
    output: Readonly<Record<string, unknown>>,
    more: Readonly<Record<string, unknown>> = {},
  ) => {
    const defaults = {
      username: 'user',
      password: '${ES_PWD}',
      backoff: { init: '100ms', max: '200ms' },
      ssl: { certificate_authorities: ['ca.crt'] },
    }
    const settings = {
      'metricbeat.config.modules.path': '${path.config}/modules.d/*.yml',
      'metricbeat.modules': [{ module: 'system', metricsets: ['cpu'], period: '50ms' }],
      'output.elasticsearch': { ...defaults, ...output },
      http: { enabled: true, host: '127.0.0.1', port },
      ...more,
    }
    // JSON is YAML.
    write(directory, 'metricbeat.yml', JSON.stringify(settings))
  }
  const run = (SIM_VERSION = '8.15.0') => {
    const paths = ['--path.home', directory, '--path.config', directory, '--path.data']
    const daemon = startDaemon({
      argv: [process.execPath, METRICBEAT, '-e', ...paths, join(directory, 'data')],
      env: { SIM_VERSION, ES_PWD: 'secret', NODE_COMPILE_CACHE },
      // Relative paths are relative to this.
      cwd: directory,
    })
    t.teardown(() => daemon.stop())
    return daemon
  }
  const stats = async (): Promise<Stats> => {
    const answer: unknown = await (await fetch(`http://127.0.0.1:${port}/stats`)).json()
    if (!isStats(answer)) throw new Error('no statistics')
    return answer.libbeat
  }
  return {
    directory,
    ca,
    a,
    elasticsearch,
    configure,
    run,
    stats,
    sequences: () => sequencesOf(elasticsearch),
  }
}
