import type { Readable } from 'node:stream'
import { untilAborted } from '../abort.ts'

/** Silence after which what was typed or pasted ahead has all arrived: far below the time in which a person reads a question. */
const quietMs = 250

const ctrlC = 3

export interface TypeaheadInput extends Readable {
  isTTY?: boolean
  setRawMode?: (isRaw: boolean) => unknown
}

/**
 * Reads what has come in already and throws it away, until nothing more comes: who typed it had not seen the question that
 * follows. Who leans on a key is not asked before letting go; the signal is the bound. Rejects with its reason.
 */
export async function discardTypeahead(
  input: TypeaheadInput,
  { signal, interrupt }: { signal: AbortSignal; interrupt: () => void },
): Promise<void> {
  signal.throwIfAborted()
  if (input.readableEnded || input.destroyed) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const quiet = setTimeout(resolve, quietMs)
  const discard = (chunk: Buffer | string): void => {
    quiet.refresh()
    // A terminal gives an unfinished line only in raw mode, in which it makes no signal of Ctrl-C.
    if (input.isTTY === true && Buffer.from(chunk).includes(ctrlC)) interrupt()
  }
  input.on('data', discard).once('end', resolve).once('close', resolve).resume()
  if (input.isTTY === true) input.setRawMode?.(true)
  try {
    await untilAborted(promise, signal)
  } finally {
    clearTimeout(quiet)
    input.off('data', discard).off('end', resolve).off('close', resolve).pause()
    if (input.isTTY === true) input.setRawMode?.(false)
  }
}
