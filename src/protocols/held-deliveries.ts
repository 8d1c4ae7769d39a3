import type { PeerId } from '../pairing/peer-id.ts'
import type { Amount, StoredMessage } from '../store/stored-message.ts'

/**
 * Devices that have refused a delivery because their inbox has no room for it. They are sent no more than they say fits; when that
 * is nothing, they are asked again with growing pauses, and with a single message, which costs next to nothing. At most as many as
 * are paired.
 */
export class HeldDeliveries {
  readonly #refusals = new Map<PeerId, Refusal>()

  /** Whether nothing fits into the device's inbox. */
  isFull(peer: PeerId): boolean {
    return this.#refusals.get(peer)?.isFull ?? false
  }

  /** The first of the messages, as many as the device had room for; one at least. */
  fitting(peer: PeerId, messages: readonly StoredMessage[]): readonly StoredMessage[] {
    const room = this.#refusals.get(peer)?.room
    if (room === undefined) return messages
    let bytes = 0
    return messages.filter((message, index) => {
      bytes += Buffer.byteLength(message.body)
      return index === 0 || (index < room.messages && bytes <= room.bytes)
    })
  }

  /**
   * Records a refusal of so many messages, and the room that the device said it has. Returns the pause before the next try, in
   * milliseconds, and whether that is news.
   */
  refused(peer: PeerId, count: number, told: Amount): { pauseMs: number; isNews: boolean } {
    const known = this.#refusals.get(peer)
    // Each such try is smaller than the one before.
    if (told.messages > 0 && count > 1) {
      const fewer = { ...told, messages: Math.min(told.messages, count - 1) }
      const { isFull = false, isTold = false } = known ?? {}
      this.#refusals.set(peer, { isFull, isTold, room: fewer, pauseMs: firstPauseMs })
      return { pauseMs: 0, isNews: false }
    }
    const pauseMs = known?.pauseMs ?? firstPauseMs
    const nextPauseMs = Math.min(longestPauseMs, pauseMs * 2)
    const room = { messages: 1, bytes: 0 }
    this.#refusals.set(peer, { isFull: true, isTold: true, room, pauseMs: nextPauseMs })
    return { pauseMs, isNews: known?.isTold !== true }
  }

  /** Records that a part of what waits was taken: the next try may be twice as large. */
  taken(peer: PeerId, messages: readonly StoredMessage[]): void {
    const known = this.#refusals.get(peer)
    if (known === undefined) return
    const bytes = messages.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0)
    const room = { messages: 2 * messages.length, bytes: 2 * bytes }
    this.#refusals.set(peer, { ...known, isFull: false, room, pauseMs: firstPauseMs })
  }

  /** Records that all that waited was taken or has expired, or that the device is not paired any more. */
  end(peer: PeerId): void {
    this.#refusals.delete(peer)
  }
}

interface Refusal {
  isFull: boolean
  /** Whether people were told that it is full. */
  isTold: boolean
  room: Amount
  /** Next pause. */
  pauseMs: number
}

const firstPauseMs = 5_000
const longestPauseMs = 60_000
