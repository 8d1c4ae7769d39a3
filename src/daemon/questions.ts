import { randomInt } from 'node:crypto'
import { addAbortListener } from 'node:events'
import { SpacedockError } from '../errors.ts'
import type { Confirmation } from './daemon-api.ts'

export interface Questions {
  /** Asks; rejects with the signal's reason when the answer is no longer needed; the client is told. */
  ask: (question: Confirmation, options: { signal: AbortSignal }) => Promise<boolean>
  /** Takes an answer; one to a question that is not open, or no longer, is ignored. */
  answer: (id: number, value: boolean) => void
}

/** Ids are below this, and exact in JSON. */
const idLimit = 2 ** 48 - 1

/** Keeps the questions of one connection to the person behind it. An id cannot be known before its question: nor can an answer be sent. */
export function createQuestions(write: (line: unknown) => Promise<void>): Questions {
  const open = new Map<number, (value: boolean) => void>()

  async function ask(question: Confirmation, { signal }: { signal: AbortSignal }): Promise<boolean> {
    signal.throwIfAborted()
    const id = randomInt(idLimit)
    const { promise, resolve, reject } = Promise.withResolvers<boolean>()
    const withdraw = (): void => {
      const reason: unknown = signal.reason
      reject(
        reason instanceof Error ? reason : new SpacedockError('cancelled', 'The question was withdrawn.'),
      )
      write({ withdrawn: { id } }).catch(() => undefined) // the client has gone: nobody is being asked any more
    }
    open.set(id, resolve)
    using _listening = addAbortListener(signal, withdraw)
    try {
      const [answer] = await Promise.all([promise, write({ ask: { id, kind: 'confirm', ...question } })])
      return answer
    } finally {
      open.delete(id)
    }
  }

  return { ask, answer: (id, value) => open.get(id)?.(value) }
}
