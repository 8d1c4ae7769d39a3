import { generateKeyPairSync, randomBytes } from 'node:crypto'

/** Encodes a hello of TLS 1.3 with pre-shared keys of these names, and binders that fit none, in as many records as it takes (RFC 8446). */
export function encodeClientHello(identities: readonly string[]): Buffer {
  const names = identities.map((identity) =>
    Buffer.concat([counted(2, Buffer.from(identity)), Buffer.alloc(4)]),
  )
  const binders = identities.map(() => counted(1, Buffer.alloc(32)))
  const { publicKey } = generateKeyPairSync('x25519')
  const share = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
  const extensions = [
    extension(0x2b, counted(1, number(2, 0x0304))),
    extension(0x0a, counted(2, number(2, x25519))),
    extension(0x0d, counted(2, number(2, 0x0804))),
    extension(0x33, counted(2, Buffer.concat([number(2, x25519), counted(2, share)]))),
    extension(0x2d, counted(1, Buffer.of(1))),
    extension(0x29, Buffer.concat([counted(2, Buffer.concat(names)), counted(2, Buffer.concat(binders))])),
  ]
  const body = Buffer.concat([
    number(2, 0x0303),
    randomBytes(32),
    counted(1, randomBytes(32)),
    counted(2, number(2, 0x1301)),
    counted(1, Buffer.of(0)),
    counted(2, Buffer.concat(extensions)),
  ])
  const message = Buffer.concat([Buffer.of(1), counted(3, body)])
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += maxRecordBytes)
    records.push(Buffer.of(0x16, 3, 1), counted(2, message.subarray(at, at + maxRecordBytes)))
  return Buffer.concat(records)
}

const x25519 = 0x1d
const maxRecordBytes = 16_384

function number(bytes: number, value: number): Buffer {
  const encoded = Buffer.alloc(bytes)
  encoded.writeUIntBE(value, 0, bytes)
  return encoded
}

/** Its length, in so many bytes, before it. */
function counted(lengthBytes: number, content: Buffer): Buffer {
  return Buffer.concat([number(lengthBytes, content.length), content])
}

function extension(type: number, content: Buffer): Buffer {
  return Buffer.concat([number(2, type), counted(2, content)])
}
