import { SpacedockError } from '../errors.ts'
import type { NewMessage, Outbox } from '../store/outbox.ts'
import type { MessageUpkeep } from './message-upkeep.ts'
import type { MessageDevices } from './messaging-components.ts'

export interface MessageEntryParts {
  outbox: Outbox
  devices: Pick<MessageDevices, 'requirePaired'>
  upkeep: MessageUpkeep
}

/**
 * The way into the outbox: messages given in one turn of the event loop are stored together, which costs one sync of the disk.
 */
export class MessageEntry {
  readonly #parts: MessageEntryParts
  readonly #entering: { message: NewMessage; settle: (error?: Error) => void }[] = []

  constructor(parts: MessageEntryParts) {
    this.#parts = parts
  }

  /** Resolves when the message is durable in the outbox. */
  enter(message: NewMessage): Promise<void> {
    if (this.#entering.length === 0) setImmediate(() => this.#store())
    return new Promise((resolve, reject) => {
      this.#entering.push({ message, settle: (error) => (error === undefined ? resolve() : reject(error)) })
    })
  }

  #store(): void {
    const { outbox, upkeep } = this.#parts
    const entering = this.#entering.splice(0).filter((one) => this.#mayEnter(one))
    try {
      const outcomes = outbox.add(entering.map(({ message }) => message))
      for (const [index, { settle }] of entering.entries()) {
        const outcome = outcomes[index]
        settle(outcome instanceof SpacedockError ? outcome : undefined)
      }
      upkeep.expiryChanged()
    } catch (error) {
      for (const { settle } of entering) settle(asError(error))
    }
  }

  /**
   * Checks the device again, which may have been revoked in this very turn: its waiting messages are gone, and none may come
   * after that.
   */
  #mayEnter({ message, settle }: { message: NewMessage; settle: (error?: Error) => void }): boolean {
    try {
      this.#parts.devices.requirePaired(message.peerId)
      return true
    } catch (error) {
      settle(asError(error))
      return false
    }
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('storing failed', { cause: error })
}
