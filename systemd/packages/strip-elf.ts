// Leaves out of a program what nobody needs to run it: symbol tables and the headers of sections, 18
// MB of Node. Done here, because the strip of one machine does not know the programs of another, and
// because two versions of it make two different files.

const CLASS_64 = 2
const LITTLE_ENDIAN = 1
const PROGRAM_HEADER_BYTES = 56

/** The same program up to the end of its last segment; the kernel and the loader read segments only. */
export function stripElf(program: Buffer): Buffer {
  const known = program.subarray(0, 4).toString('latin1') === '\x7fELF'
  if (!known || program[4] !== CLASS_64 || program[5] !== LITTLE_ENDIAN)
    throw new Error('strip a program: it is no 64-bit little-endian ELF file')
  const headers = Number(program.readBigUInt64LE(32))
  const count = program.readUInt16LE(56)
  const ends = Array.from({ length: count }, (_, index) => {
    const at = headers + index * PROGRAM_HEADER_BYTES
    return Number(program.readBigUInt64LE(at + 8) + program.readBigUInt64LE(at + 32))
  })
  const end = Math.max(headers + count * PROGRAM_HEADER_BYTES, ...ends)
  if (end > program.length) throw new Error('strip a program: it ends before its last segment')
  const stripped = Buffer.from(program.subarray(0, end))
  stripped.writeBigUInt64LE(0n, 40) // where the headers of sections are
  stripped.writeUInt16LE(0, 60) // how many
  stripped.writeUInt16LE(0, 62) // which of them has the names
  return stripped
}
