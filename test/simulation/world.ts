import type { Device } from '../../src/api.ts'
import { SpacedockError } from '../../src/errors.ts'
import type { SimulatedDevice, Simulation } from '../../src/testing/index.ts'
import { Ledger, type SentMessage } from './ledger.ts'

/** Simulated devices, and a record of what they must have done in the end. */
export class World {
  readonly simulation: Simulation
  readonly devices: SimulatedDevice[] = []
  readonly ledgers: Ledger[] = []
  /** Peer ids by name; they never change. */
  readonly #peerIds = new Map<string, string>()
  readonly #sentById = new Map<string, SentMessage>()
  /** Acknowledged before `send` had returned the message's id. */
  readonly #deliveredIds = new Set<string>()

  constructor(simulation: Simulation) {
    this.simulation = simulation
  }

  async add(name: string): Promise<void> {
    const device = await this.simulation.device(name, {
      setUp: (node) =>
        node.addEventListener('message:delivered', ({ detail }) => {
          this.#deliveredIds.add(detail.id)
          const sent = this.#sentById.get(detail.id)
          if (sent !== undefined) sent.outcome = 'delivered'
        }),
    })
    this.#peerIds.set(name, device.node.peerId)
    for (const other of this.devices) {
      this.ledgers.push(new Ledger(name, other.name), new Ledger(other.name, name))
    }
    this.devices.push(device)
  }

  /** Both must run and reach each other. */
  async pair(one: SimulatedDevice, other: SimulatedDevice): Promise<void> {
    await this.simulation.pair(one, other)
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const ledger = this.ledger(from, to)
      ledger.closedAt = null
      ledger.isUnsettled = false
    }
  }

  /** In any weather: it may come to nothing, also on one side only until what is unfinished heals. */
  async tryToPair(one: SimulatedDevice, other: SimulatedDevice): Promise<void> {
    if (!one.isRunning || !other.isRunning) return
    const ledgers = [this.ledger(one, other), this.ledger(other, one)]
    for (const ledger of ledgers) {
      ledger.closedAt = null
      ledger.isUnsettled = true
    }
    const invitation = await this.simulation.until(one.node.pair())
    const joining = other.node.join(invitation.words, { timeoutMs: 30_000 })
    const both = await this.#untilOver(Promise.all([invitation.paired, joining]), [one, other])
    if (both === 'fulfilled') for (const ledger of ledgers) ledger.isUnsettled = false
    else if (one.isRunning) await this.#untilOver(invitation.cancel(), [one])
  }

  /** Whether both sides of every pair mean the same: trusted and connected, or not trusted any more, and knowing it. */
  agree(): boolean {
    return this.ledgers.every(({ from, to }) => {
      const [one, other] = [from, to].map((name) => this.devices.find((device) => device.name === name))
      if (one === undefined || other === undefined) return true
      const states = [this.known(one, other)?.state, this.known(other, one)?.state]
      const isTrusted = states.map((state) => ['connected', 'disconnected', 'paired'].includes(state ?? ''))
      if (!isTrusted.includes(true)) return true
      return states.every((state) => state === 'connected')
    })
  }

  /** What `from` knows of `to`; undefined when it does not run, or does not know it. */
  known(from: SimulatedDevice, to: SimulatedDevice): Device | undefined {
    if (!from.isRunning) return undefined
    return from.node.devices().find(({ peerId }) => peerId === this.#peerIds.get(to.name))
  }

  send(from: SimulatedDevice, to: SimulatedDevice): void {
    const device = this.known(from, to)
    if (device === undefined) return
    const ledger = this.ledger(from, to)
    const sent: SentMessage = { text: ledger.nextText(), outcome: 'unknown', mayBeDropped: false }
    ledger.sent.push(sent)
    void this.#send(device, sent)
  }

  async #send(device: Device, sent: SentMessage): Promise<void> {
    try {
      const { id, status } = await device.send(sent.text)
      this.#sentById.set(id, sent)
      sent.outcome = this.#deliveredIds.has(id) ? 'delivered' : status
    } catch (error) {
      if (error instanceof SpacedockError && error.code === 'not-paired') sent.outcome = 'refused'
    }
  }

  /** Withdraws the trust. What both have sent so far may be lost, and nothing of the other may arrive from now on. */
  async revoke(by: SimulatedDevice, of: SimulatedDevice): Promise<void> {
    const device = this.known(by, of)
    if (device === undefined || device.state === 'revoked') return
    const [incoming, outgoing] = [this.ledger(of, by), this.ledger(by, of)]
    for (const ledger of [incoming, outgoing]) {
      ledger.isUnsettled = true
      for (const sent of ledger.sent) sent.mayBeDropped = true
    }
    const outcome = await this.#untilOver(device.revoke(), [by])
    if (outcome === 'fulfilled' && by.isRunning) incoming.closedAt = this.#arrivedAt(by, of)
  }

  ledger(from: SimulatedDevice, to: SimulatedDevice): Ledger {
    const found = this.ledgers.find((ledger) => ledger.from === from.name && ledger.to === to.name)
    if (found === undefined) throw new Error(`nothing is kept of ${from.name} to ${to.name}`)
    return found
  }

  check(): void {
    for (const device of this.devices) {
      if (!device.isRunning) continue
      const inbox = device.node.inbox()
      for (const ledger of this.ledgers) if (ledger.to === device.name) ledger.checkSafety(inbox)
    }
  }

  /** All devices must run. */
  isComplete(): boolean {
    return this.devices.every((device) => {
      const inbox = device.node.inbox()
      return this.ledgers.every((ledger) => ledger.to !== device.name || ledger.isComplete(inbox))
    })
  }

  /** Settles, or one of the devices crashes, or a minute passes; a process that is gone never says. */
  async #untilOver(
    promise: Promise<unknown>,
    devices: readonly SimulatedDevice[],
  ): Promise<'fulfilled' | 'rejected' | 'open'> {
    const state: { outcome: 'fulfilled' | 'rejected' | 'open' } = { outcome: 'open' }
    promise.then(
      () => (state.outcome = 'fulfilled'),
      () => (state.outcome = 'rejected'),
    )
    const endMs = this.simulation.now() + 60_000
    const isOver = (): boolean =>
      state.outcome !== 'open' ||
      devices.some(({ isRunning }) => !isRunning) ||
      this.simulation.now() >= endMs
    await this.simulation.until(isOver, { withinMs: 90_000 })
    return state.outcome
  }

  #arrivedAt(at: SimulatedDevice, from: SimulatedDevice): number {
    return at.node.inbox().filter((message) => message.from.name === from.name).length
  }
}
