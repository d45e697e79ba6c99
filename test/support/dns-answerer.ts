// A name server on loopback for tests of DNS-01: TXT records are files that a program under test
// writes, A is 127.0.0.1 for every name, everything else has no answer.

import { createSocket } from 'node:dgram'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface DnsAnswerer {
  readonly port: number
  close(): Promise<void>
}

const TYPE_A = 1
const TYPE_TXT = 16

/** Records of `name` are the names of the files in `zone/name`. */
export async function startDnsAnswerer(zone: string): Promise<DnsAnswerer> {
  const socket = createSocket('udp4')
  socket.on('message', (query, peer) => {
    const answer = answerTo(query, zone)
    if (answer !== undefined) socket.send(answer, peer.port, peer.address)
  })
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  return {
    port: socket.address().port,
    close: () => new Promise(resolve => socket.close(() => resolve())),
  }
}

function answerTo(query: Buffer, zone: string): Buffer | undefined {
  if (query.length < 17) return undefined
  const labels: string[] = []
  let at = 12
  while (query[at] !== 0) {
    const length = query[at] ?? 0
    if (length === 0 || length > 63) return undefined
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const type = query.readUInt16BE(at + 1)
  const question = query.subarray(12, at + 5)
  const values = valuesOf(zone, labels.join('.').toLowerCase(), type)
  const records = values.map(data => {
    const head = Buffer.from([0xc0, 0x0c, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length])
    return Buffer.concat([head, data])
  })
  // A response to a recursive query, without an error.
  const header = Buffer.from([
    query[0] ?? 0,
    query[1] ?? 0,
    0x85,
    0x80,
    0,
    1,
    0,
    values.length,
    0,
    0,
    0,
    0,
  ])
  return Buffer.concat([header, question, ...records])
}

function valuesOf(zone: string, name: string, type: number): readonly Buffer[] {
  if (type === TYPE_A) return [Buffer.from([127, 0, 0, 1])]
  const directory = join(zone, name)
  if (type !== TYPE_TXT || !existsSync(directory)) return []
  return readdirSync(directory).map(value =>
    Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]),
  )
}
