import type { Socket } from 'node:net'
import { SpacedockError } from '../errors.ts'

const newline = 0x0a
const slowestReaderMs = 30_000

/**
 * Yields the lines that arrive, without their newline, until the other side ends. Never holds more than the cap: throws
 * `too-large` for a longer line, `invalid-message` for one that is not UTF-8 or not finished.
 */
export async function* readLines(
  source: AsyncIterable<Uint8Array>,
  capBytes: number,
): AsyncGenerator<string, void, undefined> {
  let pieces: Uint8Array[] = []
  let length = 0
  for await (const chunk of source) {
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      const piece = chunk.subarray(start, end)
      if (length + piece.length > capBytes) throw tooLong(capBytes)
      yield decode([...pieces, piece])
      pieces = []
      length = 0
      start = end + 1
    }
    if (start === chunk.length) continue
    const rest = chunk.subarray(start)
    length += rest.length
    if (length > capBytes) throw tooLong(capBytes)
    pieces.push(rest)
  }
  if (length > 0) throw new SpacedockError('invalid-message', 'The last line is not finished.')
}

/**
 * Sends one value and waits while the reader is slow; a reader that takes nothing for 30 s is cut off. Rejects when the
 * socket is closed.
 */
export async function writeLine(socket: Socket, value: unknown): Promise<void> {
  if (socket.destroyed || !socket.writable) throw gone()
  if (socket.write(`${JSON.stringify(value)}\n`)) return
  await new Promise<void>((resolve, reject) => {
    const patience = setTimeout(() => socket.destroy(), slowestReaderMs)
    const settle = (settled: () => void): void => {
      clearTimeout(patience)
      socket.off('drain', drained)
      socket.off('close', closed)
      settled()
    }
    const drained = (): void => settle(resolve)
    const closed = (): void => settle(() => reject(gone()))
    socket.on('drain', drained)
    socket.on('close', closed)
  })
}

export function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new SpacedockError('invalid-message', 'A line is not JSON.', { cause })
  }
}

function decode(pieces: Uint8Array[]): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(
      pieces.length === 1 ? pieces[0] : Buffer.concat(pieces),
    )
  } catch (cause) {
    throw new SpacedockError('invalid-message', 'A line is not UTF-8.', { cause })
  }
}

function tooLong(capBytes: number): SpacedockError {
  return new SpacedockError('too-large', `A line is longer than ${capBytes} bytes.`)
}

function gone(): SpacedockError {
  return new SpacedockError('interrupted', 'The connection is closed.')
}
