import type { Asker, Client, Pipe, Subject, Transport } from './subject.ts'

/** First bytes of a pipe: what it is for, and how many bytes a message, or all, have. */
const headBytes = 9
const echoKind = 1
const sinkKind = 2
/** What a program writes at once when it sends a file. */
const chunkBytes = 64 * 1024

/** Makes a transport carry messages of one size: each is written by itself, and answered by itself. */
export function overPipes(transport: Transport): Subject {
  return {
    serve: () => transport.listen(answer),
    connect: async (address) => {
      const open = await transport.connect(address)
      return {
        messages: (bytes) => messages(open, bytes),
        pour: (bytes) => pour(open, bytes),
      } satisfies Client
    },
  }
}

async function messages(open: () => Promise<Pipe>, bytes: number): Promise<Asker> {
  const pipe = await open()
  const waiting: (() => void)[] = []
  let first = 0
  pipe.read(
    pieces(bytes, () => {
      waiting[first++]?.()
      if (first < 1_024) return
      waiting.splice(0, first)
      first = 0
    }),
  )
  void pipe.write(head(echoKind, bytes))
  const message = new Uint8Array(bytes).fill(7)
  return {
    ask: (answered) => {
      waiting.push(answered)
      void pipe.write(message)
    },
  }
}

async function pour(open: () => Promise<Pipe>, totalBytes: number): Promise<void> {
  const pipe = await open()
  const arrived = new Promise<void>((resolve) => pipe.read(() => resolve()))
  void pipe.write(head(sinkKind, totalBytes))
  const chunk = new Uint8Array(chunkBytes).fill(7)
  for (let left = totalBytes; left > 0; left -= chunkBytes) {
    const full = pipe.write(left < chunkBytes ? chunk.subarray(0, left) : chunk)
    if (full !== undefined) await full
  }
  await arrived
}

/** The serving side of one pipe. */
function answer(pipe: Pipe): void {
  let onBytes: ((bytes: Uint8Array) => void) | null = null
  let begun = new Uint8Array()
  pipe.read((bytes) => {
    if (onBytes !== null) return onBytes(bytes)
    begun = Buffer.concat([begun, bytes])
    if (begun.length < headBytes) return
    const size = Number(new DataView(begun.buffer, begun.byteOffset).getBigUint64(1))
    if (begun[0] === echoKind) {
      const message = new Uint8Array(size).fill(7)
      onBytes = pieces(size, () => void pipe.write(message))
    } else {
      onBytes = pieces(size, () => void pipe.write(new Uint8Array(1)))
    }
    if (begun.length > headBytes) onBytes(begun.subarray(headBytes))
  })
}

/** Calls back once for as many bytes, however they come: what a message says is of no interest here. */
function pieces(bytes: number, whole: () => void): (bytes: Uint8Array) => void {
  let come = 0
  return (chunk) => {
    come += chunk.length
    while (come >= bytes) {
      come -= bytes
      whole()
    }
  }
}

function head(kind: number, bytes: number): Uint8Array {
  const all = new Uint8Array(headBytes)
  all[0] = kind
  new DataView(all.buffer).setBigUint64(1, BigInt(bytes))
  return all
}
