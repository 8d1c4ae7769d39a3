import assert from 'node:assert/strict'
import type { Message } from '../../src/api.ts'

/** What one device sent to another, in the order of the calls, and what is known of each. */
export interface SentMessage {
  text: string
  /** `unknown`: the device crashed before it said anything, so the message may have been kept or not. */
  outcome: 'unknown' | 'queued' | 'delivered' | 'refused'
  /** When one of the two has withdrawn its trust since: it need not arrive any more, unless it has been acknowledged. */
  mayBeDropped: boolean
}

/** From one device to another. */
export class Ledger {
  readonly from: string
  readonly to: string
  readonly sent: SentMessage[] = []
  /** While the receiver does not trust the sender: how many of its messages there were when it said so. */
  closedAt: number | null = null
  /** One of the two has withdrawn its trust, or may have, and they have not been paired since. */
  isUnsettled = false

  constructor(from: string, to: string) {
    this.from = from
    this.to = to
  }

  nextText(): string {
    return String(this.sent.length)
  }

  /** At any time. */
  checkSafety(inbox: readonly Message[]): void {
    const arrived = inbox.filter(({ from }) => from.name === this.from).map(({ text }) => Number(text))
    const label = `${this.from} to ${this.to}`
    assert.equal(new Set(arrived).size, arrived.length, `${label}: arrived twice: ${arrived.join(' ')}`)
    const inOrder = arrived.toSorted((one, other) => one - other)
    assert.deepEqual(arrived, inOrder, `${label}: arrived in another order`)
    if (this.closedAt !== null) {
      assert.equal(arrived.length, this.closedAt, `${label}: arrived from a device that was revoked`)
    }
    const missing = this.sent.filter(
      ({ outcome, text }) => outcome === 'delivered' && !arrived.includes(Number(text)),
    )
    assert.deepEqual(missing, [], `${label}: acknowledged, and not there`)
    // One that was under way when its device was revoked may have arrived all the same.
    const refused = this.sent.filter(
      ({ outcome, text, mayBeDropped }) =>
        outcome === 'refused' && !mayBeDropped && arrived.includes(Number(text)),
    )
    assert.deepEqual(refused, [], `${label}: refused, and there all the same`)
  }

  /** When everything had time enough. */
  isComplete(inbox: readonly Message[]): boolean {
    const arrived = new Set(inbox.filter(({ from }) => from.name === this.from).map(({ text }) => text))
    const mayBeMissing = ({ outcome, mayBeDropped }: SentMessage): boolean =>
      this.isUnsettled || mayBeDropped || outcome !== 'queued'
    return this.sent.every((message) => mayBeMissing(message) || arrived.has(message.text))
  }
}
