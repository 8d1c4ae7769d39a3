import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { SpacedockError } from '../../errors.ts'

/**
 * Records of a session over a libp2p stream, each sealed with AES-256-GCM (NIST SP 800-38D) under a key that follows from the pair
 * key: PROTOCOL.md, 'Sealed records'. Four bytes of length, big-endian, which are the associated data; ciphertext; tag of 16 bytes.
 * The nonce is never sent: it is the number of the record. The bytes inside are those of the frames, cut anywhere.
 */
export interface SealKeys {
  /** Keys of what this side sends, and of what it receives: 32 bytes each, never used before. */
  sends: Uint8Array
  receives: Uint8Array
}

/** Most bytes that one record holds. */
export const maxRecordBytes = 64 * 1024

/** Seals bytes in as few records as they fit in. */
export class RecordSealer {
  // Made from raw bytes for every record, it would cost more than sealing a small one does.
  readonly #key: KeyObject
  readonly #number = new RecordNumber()

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key)
  }

  seal(bytes: Uint8Array): Uint8Array {
    const records: Uint8Array[] = []
    for (let at = 0; at < bytes.byteLength; at += maxRecordBytes) {
      records.push(...this.#record(bytes.subarray(at, at + maxRecordBytes)))
    }
    return Buffer.concat(records)
  }

  #record(plaintext: Uint8Array): Uint8Array[] {
    const length = new Uint8Array(lengthBytes)
    new DataView(length.buffer).setUint32(0, plaintext.byteLength + tagBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#key, this.#number.next())
    cipher.setAAD(length)
    const ciphertext = cipher.update(plaintext)
    cipher.final()
    return [length, ciphertext, cipher.getAuthTag()]
  }
}

/** Opens records that arrive in pieces of any size; at most one record is held. */
export class RecordOpener {
  readonly #key: KeyObject
  readonly #number = new RecordNumber()
  readonly #length = new Uint8Array(lengthBytes)
  #lengthFilled = 0
  #sealed: Uint8Array | undefined
  #sealedFilled = 0

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key)
  }

  /**
   * Takes a piece and returns what was in the records that it completes. Throws `invalid-message` for a record that is empty, too
   * long, altered, repeated, out of order or of somebody else; nothing can be opened afterwards.
   */
  open(piece: Uint8Array): Uint8Array[] {
    const opened: Uint8Array[] = []
    for (let at = 0; at < piece.byteLength;) {
      at += this.#sealed === undefined ? this.#takeLength(piece, at) : this.#takeSealed(piece, at, opened)
    }
    return opened
  }

  #takeLength(piece: Uint8Array, at: number): number {
    const taken = piece.subarray(at, at + lengthBytes - this.#lengthFilled)
    this.#length.set(taken, this.#lengthFilled)
    this.#lengthFilled += taken.byteLength
    if (this.#lengthFilled < lengthBytes) return taken.byteLength
    const length = new DataView(this.#length.buffer).getUint32(0)
    if (length <= tagBytes || length > maxRecordBytes + tagBytes) throw broken(`claims ${length} bytes`)
    this.#lengthFilled = 0
    this.#sealedFilled = 0
    this.#sealed = new Uint8Array(length)
    return taken.byteLength
  }

  #takeSealed(piece: Uint8Array, at: number, opened: Uint8Array[]): number {
    const sealed = this.#sealed ?? new Uint8Array(0)
    const taken = piece.subarray(at, at + sealed.byteLength - this.#sealedFilled)
    sealed.set(taken, this.#sealedFilled)
    this.#sealedFilled += taken.byteLength
    if (this.#sealedFilled === sealed.byteLength) {
      this.#sealed = undefined
      opened.push(this.#open(sealed))
    }
    return taken.byteLength
  }

  #open(sealed: Uint8Array): Uint8Array {
    const decipher = createDecipheriv('aes-256-gcm', this.#key, this.#number.next())
    decipher.setAAD(this.#length)
    decipher.setAuthTag(sealed.subarray(-tagBytes))
    try {
      const { buffer, byteOffset, byteLength } = decipher.update(sealed.subarray(0, -tagBytes))
      decipher.final()
      return new Uint8Array(buffer, byteOffset, byteLength)
    } catch (cause) {
      throw broken('does not open with the key of the session', cause)
    }
  }
}

/** Nonces of one key: 96 bits that count from 0. */
class RecordNumber {
  #number = 0

  next(): Uint8Array {
    if (this.#number === maxRecords) {
      throw new SpacedockError('interrupted', 'The session has sealed as much as one key may.')
    }
    const nonce = new Uint8Array(12)
    new DataView(nonce.buffer).setUint32(8, this.#number)
    this.#number += 1
    return nonce
  }
}

function broken(what: string, cause?: unknown): SpacedockError {
  return new SpacedockError('invalid-message', `The other device sent a record that ${what}.`, { cause })
}

const lengthBytes = 4
const tagBytes = 16
/** Records of one key; the session ends then, and another one follows. */
const maxRecords = 2 ** 32
