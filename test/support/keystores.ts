// Secret stores as the Elastic products write them, for tests and for the products' stand-ins. From
// the layouts themselves, sharing nothing with the code that reads them.

import { createCipheriv, pbkdf2Sync, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

export interface ElasticsearchStore {
  /** 3 to 6; the newest unless said otherwise. */
  readonly version?: number
  readonly password?: string
  readonly entries: Readonly<Record<string, string | Uint8Array>>
  /** Encrypted with the entries, behind them: no product writes such a store. */
  readonly behind?: string
}

/** `elasticsearch.keystore`. */
export function elasticsearchKeystore(store: ElasticsearchStore): Buffer {
  const { version = 6, password = '', entries, behind = '' } = store
  const sized = version >= 5 ? sizedLittleEndian : sizedBigEndian
  const plain = [
    int32(Object.keys(entries).length),
    ...Object.entries(entries).flatMap(([name, value]) => [
      javaUtf(name),
      ...(version === 3 ? [javaUtf(typeof value === 'string' ? 'STRING' : 'FILE')] : []),
      sizedBigEndian(Buffer.from(value)),
    ]),
    Buffer.from(behind),
  ]
  const [salt, iv] = [randomBytes(64), randomBytes(12)]
  const iterations = version >= 6 ? 210_000 : 10_000
  const key = pbkdf2Sync(password, salt, iterations, 16, 'sha512')
  const cipher = createCipheriv('aes-128-gcm', key, iv).setAAD(salt)
  const text = [cipher.update(Buffer.concat(plain)), cipher.final(), cipher.getAuthTag()]
  const data = [sized(salt), sized(iv), sized(Buffer.concat(text))]
  const name = Buffer.from('elasticsearch.keystore')
  return withFooter(
    Buffer.concat([
      int32(0x3fd76c17),
      Buffer.of(name.length),
      name,
      int32(version),
      Buffer.of(password === '' ? 0 : 1),
      sized(Buffer.concat(data)),
    ]),
  )
}

/** Whatever stands before it, with the checksum that belongs to it. */
export function withFooter(content: Buffer): Buffer {
  const checked = Buffer.concat([content, int32(0xc02893e8), int32(0)])
  return Buffer.concat([checked, int32(0), int32(crc32(checked))])
}

/** `kibana.keystore`; values are JSON, as the tool makes them. */
export function kibanaKeystore(
  values: Readonly<Record<string, unknown>>,
  { password = '', text = JSON.stringify(values) } = {},
): Buffer {
  const { salt, iv, tag, encrypted } = sealed(text, password)
  return Buffer.from(`1:${Buffer.concat([salt, iv, tag, encrypted]).toString('base64')}`)
}

/** `metricbeat.keystore`. */
export function beatsKeystore(
  values: Readonly<Record<string, string>>,
  { password = '', text = beatsJson(values) } = {},
): Buffer {
  const { salt, iv, tag, encrypted } = sealed(text, password)
  return Buffer.from(`v1${Buffer.concat([salt, iv, encrypted, tag]).toString('base64')}`)
}

// Go encodes bytes as base64 and ends with a new line.
function beatsJson(values: Readonly<Record<string, string>>): string {
  const entries = Object.entries(values).map(([name, value]) => [
    name,
    { value: Buffer.from(value).toString('base64') },
  ])
  return `${JSON.stringify(Object.fromEntries(entries))}\n`
}

function sealed(text: string, password: string) {
  const [salt, iv] = [randomBytes(64), randomBytes(12)]
  const key = pbkdf2Sync(password, salt, 10_000, 32, 'sha512')
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  const encrypted = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return { salt, iv, tag: cipher.getAuthTag(), encrypted }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function sizedBigEndian(value: Buffer): Buffer {
  return Buffer.concat([int32(value.length), value])
}

function sizedLittleEndian(value: Buffer): Buffer {
  return Buffer.concat([int32(value.length).swap32(), value])
}

function javaUtf(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([int32(bytes.length).subarray(2), bytes])
}
