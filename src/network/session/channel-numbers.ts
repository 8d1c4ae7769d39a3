/** Allocates channels for this side's requests and streams: odd for the dialer, even for the listener. */
export class ChannelNumbers {
  readonly #first: number
  readonly #used = new Set<number>()
  #next: number

  constructor(first: 1 | 2) {
    this.#first = first
    this.#next = first
  }

  isOurs(channel: number): boolean {
    return channel % 2 === this.#first % 2
  }

  take(): number {
    let channel: number
    do {
      channel = this.#next
      this.#next = channel + 2 > maxChannel ? this.#first : channel + 2
    } while (this.#used.has(channel))
    this.#used.add(channel)
    return channel
  }

  release(channel: number): void {
    this.#used.delete(channel)
  }
}

const maxChannel = 0xffff_fffe
