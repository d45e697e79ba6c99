// The part of node-forge that der.ts uses. The published types cover the whole package only, and
// importing the whole package costs 6 MiB of memory where this one file costs half of one.

declare module 'node-forge/lib/asn1.js' {
  interface Asn1Value {
    readonly tagClass: number
    readonly type: number
    readonly constructed: boolean
  }

  interface ByteBuffer {
    getBytes(): string
  }

  const asn1: {
    create(
      tagClass: number,
      type: number,
      constructed: boolean,
      value: string | Asn1Value[],
    ): Asn1Value
    toDer(value: Asn1Value): ByteBuffer
    fromDer(
      bytes: string,
      options: { strict: true; parseAllBytes: true; decodeBitStrings: false; maxDepth: number },
    ): Asn1Value
    oidToDer(oid: string): ByteBuffer
  }
  export = asn1
}
