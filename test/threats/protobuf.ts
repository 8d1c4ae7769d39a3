/** As much of protobuf (https://protobuf.dev/programming-guides/encoding/) as the messages need: numbers and bytes. */
export function field(number: number, value: number | Uint8Array): Uint8Array {
  if (typeof value === 'number') return encode([varint(number << 3), varint(value)])
  return encode([varint((number << 3) | 2), varint(value.length), value])
}

export function encode(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}

/** The last value of each field. */
export function decode(bytes: Uint8Array): Map<number, number | Uint8Array> {
  const found = new Map<number, number | Uint8Array>()
  let offset = 0
  const readVarint = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[offset++] ?? 0
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  while (offset < bytes.length) {
    const head = readVarint()
    const value = readVarint()
    if ((head & 7) === 0) found.set(head >> 3, value)
    else {
      found.set(head >> 3, bytes.slice(offset, offset + value))
      offset += value
    }
  }
  return found
}

export function bytesOf(value: number | Uint8Array | undefined): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array()
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Uint8Array.from([...bytes, rest])
}
