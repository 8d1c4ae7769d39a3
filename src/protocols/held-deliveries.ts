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
   * milliseconds, and whether the device is full since now.
   */
  refused(peer: PeerId, count: number, room: Amount): { pauseMs: number; isNews: boolean } {
    const known = this.#refusals.get(peer)
    // Each such try is smaller than the one before.
    if (room.messages > 0 && count > 1) {
      const fewer = { ...room, messages: Math.min(room.messages, count - 1) }
      this.#refusals.set(peer, { isFull: known?.isFull ?? false, room: fewer, pauseMs: firstPauseMs })
      return { pauseMs: 0, isNews: false }
    }
    const pauseMs = known?.pauseMs ?? firstPauseMs
    const nextPauseMs = Math.min(longestPauseMs, pauseMs * 2)
    this.#refusals.set(peer, { isFull: true, room: { messages: 1, bytes: 0 }, pauseMs: nextPauseMs })
    return { pauseMs, isNews: known?.isFull !== true }
  }

  /** Records that a delivery was taken, or that the device is not paired any more. */
  end(peer: PeerId): void {
    this.#refusals.delete(peer)
  }
}

interface Refusal {
  isFull: boolean
  room: Amount
  /** Next pause. */
  pauseMs: number
}

const firstPauseMs = 5_000
const longestPauseMs = 60_000
