import { encodeInto, framesLength, type Frame } from './frames.ts'

/** Frames that leave together, encoded one behind the other, in memory that serves one session after the other. */
export class FrameBatch {
  #memory: Buffer = nothing
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Appends copies of frames. */
  append(frames: readonly Frame[]): void {
    const neededBytes = this.#length + framesLength(frames)
    if (neededBytes > this.#memory.byteLength) this.#makeRoom(neededBytes)
    encodeInto(this.#memory, this.#length, frames)
    this.#length = neededBytes
  }

  /** Hands all that was appended to `write`, which is done with it when it returns. */
  leave(write: (bytes: Uint8Array) => void): void {
    const bytes = this.#memory.subarray(0, this.#length)
    this.#length = 0
    write(bytes)
    keep(this.#memory)
    this.#memory = nothing
  }

  #makeRoom(neededBytes: number): void {
    const before = this.#memory
    const spare = neededBytes <= usualBytes ? spareMemories.pop() : undefined
    this.#memory = spare ?? Buffer.allocUnsafeSlow(Math.max(usualBytes, neededBytes))
    this.#memory.set(before.subarray(0, this.#length))
    keep(before)
  }
}

function keep(memory: Buffer): void {
  if (memory.byteLength === usualBytes && spareMemories.length < mostSpare) spareMemories.push(memory)
}

/** Room for a batch and a large frame more; a flood of control frames gets more. */
const usualBytes = 256 * 1024
/** Memories that no session uses now: few have something to send at the same moment. */
const spareMemories: Buffer[] = []
const mostSpare = 4
const nothing = Buffer.alloc(0)
