// Three nodes with real systemd, real prometheus and real influxdb; the controller on a host of its
// own in the same network.

import { join } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import { FLAGS_VARIABLE } from '../../systemd/flags.ts'
import { type Lab, PROJECT_IN_NODE, createLab, until } from '../lab/lab.ts'
import type { Stage, StageNode } from './stage.ts'

const NODES = 3

export async function createLabStage(say: (line: string) => void): Promise<Stage> {
  const lab = await createLab({ nodes: NODES })
  say(`${NODES} nodes booted`)
  const nodes = await Promise.all(lab.nodes.map(name => prepareNode(lab, name)))
  const children: ChildProcess[] = []
  return {
    kind: 'lab',
    description: `${NODES} nodes with real systemd, real prometheus and real influxdb`,
    nodes,
    controllerHosts: [lab.address('ctl'), 'ctl'],
    listenArguments: [],
    run: (argv, options) =>
      lab.exec('ctl', [process.execPath, ...argv], { ...options, env: process.env }),
    startController(argv) {
      const child = lab.spawn('ctl', [process.execPath, ...argv])
      child.stdout?.resume()
      child.stderr?.resume()
      children.push(child)
    },
    howToLook: () => {
      const script = `LAB_ID=${lab.id} bash ${join('test', 'lab', 'lab.sh')}`
      return [
        `${script} exec n1 bash                      # a shell on a node`,
        `${script} exec n1 tlsfleet-agent status     # what its agent knows`,
        `${script} exec n1 journalctl -u tlsfleet-agent -o cat -f`,
      ]
    },
    async down() {
      for (const child of children) child.kill('SIGTERM')
      await lab.down()
    },
  }
}

async function prepareNode(lab: Lab, name: string): Promise<StageNode> {
  const wrapper = `#!/bin/sh\nexec /usr/bin/node $${FLAGS_VARIABLE} ${PROJECT_IN_NODE}/dist/tlsfleet-agent.mjs "$@"\n`
  await lab.writeFile(name, '/usr/bin/tlsfleet-agent', wrapper)
  const unit = `${PROJECT_IN_NODE}/systemd/tlsfleet-agent.service`
  await lab.output(name, [
    'sh',
    '-c',
    `chmod 755 /usr/bin/tlsfleet-agent; cp ${unit} /etc/systemd/system/; systemctl daemon-reload`,
  ])
  for (const [port, path] of [
    [9090, '/-/ready'],
    [8086, '/ping'],
  ] as const) {
    const isUp = async () =>
      [200, 204].includes((await lab.http(name, `http://127.0.0.1:${port}${path}`)).status)
    await until(isUp, { what: `${name} answers on ${port}`, timeoutMs: 60_000 })
  }
  const agent: StageNode['agent'] = (argv, options) =>
    lab.exec(name, ['tlsfleet-agent', ...argv], options)
  return {
    name,
    dns: [name, 'localhost'],
    ip: [lab.address(name), '127.0.0.1'],
    listeners: [
      { service: 'prometheus', host: name, port: 9090 },
      { service: 'influxdb', host: name, port: 8086 },
    ],
    agent,
    startAgent: async () => void (await lab.output(name, ['systemctl', 'start', 'tlsfleet-agent'])),
    readFile: path => lab.readFile(name, path),
    writeFile: (path, contents) => lab.writeFile(name, path, contents),
    state() {
      const files =
        'find /etc/prometheus /etc/influxdb /etc/default -printf "%p %i %T@ %C@ %m %U %G\\n" | sort'
      const units = 'systemctl show prometheus influxdb --property=InvocationID,NRestarts'
      return lab.output(name, ['sh', '-c', `${files}; ${units}`])
    },
    invocation: service =>
      lab.output(name, ['systemctl', 'show', service, '--property=InvocationID', '--value']),
  }
}
