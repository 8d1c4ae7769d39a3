import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import type { TestDevice } from '../device.ts'

interface Sent {
  at: number
  event: string
}

/** A numbered message about every second, one after the other, whatever happens on the way. */
export class MessageFlow {
  readonly #from: TestDevice
  readonly #to: TestDevice
  readonly #sent: Sent[] = []
  readonly #ended: Promise<void>
  #isStopping = false

  constructor(from: TestDevice, to: TestDevice) {
    this.#from = from
    this.#to = to
    this.#ended = this.#run()
    // Whoever waits for the flow gets the failure.
    this.#ended.catch(() => {})
  }

  /** How many were sent so far. */
  get count(): number {
    return this.#sent.length
  }

  /** Resolves when a message that is sent from now on is acknowledged as durable at the receiver. */
  async delivered(deadlineMs = 90_000): Promise<void> {
    const from = this.#sent.length
    const deadline = performance.now() + deadlineMs
    // The one that is being sent now was begun before.
    while (!this.#sent.slice(from + 1).some(({ event }) => event === 'delivered')) {
      if (performance.now() > deadline) await this.#ended
      assert.ok(performance.now() < deadline, `no message arrives: ${JSON.stringify(this.#sent)}`)
      await wait(50)
    }
  }

  /** Ends it; every message has to have arrived once, in its order. Returns how many there were. */
  async stop(): Promise<{ sent: number; queued: number }> {
    this.#isStopping = true
    await this.#ended
    const wanted = this.#sent.map((_, number) => this.#text(number))
    const deadline = performance.now() + 30_000
    for (;;) {
      const { lines } = await this.#to.cli(['inbox'])
      const got = lines.flatMap(({ text }) => (text?.startsWith(this.#prefix) === true ? [text] : []))
      if (got.length >= wanted.length || performance.now() > deadline) {
        assert.deepEqual(got, wanted, 'each once, in order')
        const queued = this.#sent.filter(({ event }) => event === 'queued').length
        return { sent: wanted.length, queued }
      }
      await wait(200)
    }
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      const text = this.#text(this.#sent.length)
      const { code, lines, stderr } = await this.#from.cli(['send', this.#to.name, text])
      assert.equal(code, 0, stderr)
      this.#sent.push({ at: performance.now(), event: String(lines[0]?.event) })
      await wait(700)
    }
  }

  #text(number: number): string {
    return `${this.#prefix}${number}`
  }

  get #prefix(): string {
    return `from ${this.#from.name}, number `
  }
}
