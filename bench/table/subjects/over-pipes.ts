import type { Asker, Client, Pipe, Subject, Transport } from './subject.ts'

/** First bytes of a pipe: what it is for, and how many bytes a message, or all, have. */
const headBytes = 9
const echoKind = 1
const sinkKind = 2
const flowKind = 3
/** What a program writes at once when it sends a file. */
const chunkBytes = 64 * 1024
/** Bytes of a flow that one byte acknowledges. */
const acknowledgedBytes = 16 * 1024

/** Makes a transport carry messages of one size: each is written by itself, and answered by itself. */
export function overPipes(transport: Transport): Subject {
  return {
    serve: () => transport.listen(answer),
    connect: async (address) => {
      const open = await transport.connect(address)
      return {
        messages: (bytes) => messages(open, bytes),
        pour: (bytes) => pour(open, bytes),
        flow: (arrived) => flow(open, arrived),
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
  pipe.write(head(echoKind, bytes))
  const message = new Uint8Array(bytes).fill(7)
  return {
    ask: (answered) => {
      waiting.push(answered)
      pipe.write(message)
    },
  }
}

async function pour(open: () => Promise<Pipe>, totalBytes: number): Promise<void> {
  const pipe = await open()
  const arrived = new Promise<void>((resolve) => pipe.read(() => resolve()))
  pipe.write(head(sinkKind, totalBytes))
  const chunk = new Uint8Array(chunkBytes).fill(7)
  for (let left = totalBytes; left > 0; left -= chunkBytes) {
    if (!pipe.write(left < chunkBytes ? chunk.subarray(0, left) : chunk)) await pipe.drained()
  }
  await arrived
}

async function flow(open: () => Promise<Pipe>, arrived: (bytes: number) => void): Promise<void> {
  const pipe = await open()
  pipe.read((acknowledgements) => arrived(acknowledgements.length * acknowledgedBytes))
  pipe.write(head(flowKind, 0))
  const chunk = new Uint8Array(chunkBytes).fill(7)
  for (;;) if (!pipe.write(chunk)) await pipe.drained()
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
    } else if (begun[0] === sinkKind) {
      onBytes = pieces(size, () => void pipe.write(new Uint8Array(1)))
    } else {
      onBytes = acknowledging(pipe)
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

/** Acknowledges at once what has come at once. */
function acknowledging(pipe: Pipe): (bytes: Uint8Array) => void {
  let count = 0
  const counting = pieces(acknowledgedBytes, () => count++)
  return (bytes) => {
    counting(bytes)
    if (count > 0) pipe.write(new Uint8Array(count))
    count = 0
  }
}

function head(kind: number, bytes: number): Uint8Array {
  const all = new Uint8Array(headBytes)
  all[0] = kind
  new DataView(all.buffer).setBigUint64(1, BigInt(bytes))
  return all
}
