// The subject of a request that others sent: one line that is safe to print, and its common names.

import { OperationalError } from '../errors.ts'
import { TAG, type DerValue, expectTag, malformed, oidOf } from './der-reader.ts'
import { OID } from './oids.ts'

export interface CsrSubject {
  /** `O=fleet, CN=es-1`, in the order of the request; empty when it has none. */
  readonly text: string
  readonly commonNames: readonly string[]
}

const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  [OID.commonName, 'CN'],
  [OID.organization, 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
])

const UTF8_STRING = 0x0c
const PRINTABLE_STRING = 0x13
const IA5_STRING = 0x16

/** RFC 5280, upper bounds; the longest of the attributes that a server's subject has. */
const VALUE_CHARACTERS_MAX = 128
/** Real subjects have at most seven. */
const ATTRIBUTES_MAX = 16

/** Throws `der-malformed` or `csr-names`. */
export function readCsrSubject(value: DerValue | undefined): CsrSubject {
  const attributes = expectTag(value, TAG.sequence).children.flatMap(relative => {
    const members = expectTag(relative, TAG.set).children
    if (members.length === 0) throw malformed('has an empty part in its subject')
    return members.map(readAttribute)
  })
  if (attributes.length > ATTRIBUTES_MAX) throw malformed('has too many parts in its subject')
  return {
    text: attributes
      .map(({ id, text }) => `${SHORT_NAMES.get(id) ?? id}=${escaped(text)}`)
      .join(', '),
    commonNames: attributes.filter(({ id }) => id === OID.commonName).map(({ text }) => text),
  }
}

function readAttribute(value: DerValue): { readonly id: string; readonly text: string } {
  const [id, content, ...others] = expectTag(value, TAG.sequence).children
  if (content === undefined || others.length > 0)
    throw malformed('has a part of its subject that is no pair')
  return { id: oidOf(expectTag(id, TAG.oid)), text: textOf(content) }
}

function textOf({ tag, content }: DerValue): string {
  switch (tag) {
    case UTF8_STRING:
      return checked(utf8Of(content))
    case PRINTABLE_STRING:
    case IA5_STRING:
      return checked(asciiOf(content))
    default:
      // Teletex and UTF-16 are read in several ways, so two programs would see two names.
      throw subjectError('has text in an encoding that nobody should use')
  }
}

// Control and format characters (NUL, line breaks, changes of direction) deceive whoever prints it.
function checked(text: string): string {
  if (text === '' || text.length > VALUE_CHARACTERS_MAX)
    throw subjectError(`has a part with ${text.length} characters`)
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(text)) throw subjectError('has characters that cannot be shown')
  return text
}

function utf8Of(content: Buffer): string {
  const text = content.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(content)) throw subjectError('has broken UTF-8')
  return text
}

function asciiOf(content: Buffer): string {
  if (content.some(byte => byte >= 0x80)) throw subjectError('has text that is not ASCII')
  return content.toString('latin1')
}

// As RFC 4514 does it, so that a value cannot pretend to be another part.
function escaped(text: string): string {
  return text.replaceAll(/[\\,+"<>;=]/g, character => `\\${character}`)
}

function subjectError(what: string): OperationalError {
  return new OperationalError('csr-names', `subject of the certificate request ${what}`)
}
