import { SpacedockError } from '../errors.ts'
import { checkOptions, type OptionNames } from '../known-options.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** Faults of the network, which happen to packets in both directions. */
export interface Faults {
  /** Time that a packet takes: so many milliseconds, or evenly spread between two numbers of them. @default [1, 5] */
  delayMs?: number | readonly [number, number]
  /** Share of packets that are lost, from 0 to 0.9. Data on a connection is then sent again. @default 0 */
  drop?: number
  /** Share of packets that arrive twice, from 0 to 1. @default 0 */
  duplicate?: number
}

/**
 * Kind of firewall. `drop`: connections from outside get no answer; `reject`: they are refused. Those that the device itself
 * opens work.
 */
export type Firewall = 'open' | 'drop' | 'reject'

/** Way of a packet from one device to another. A relay takes twice as long. @internal */
export type Way = 'direct' | 'relay'

/** Place at which a device is attached to the network: it stays through crashes and restarts. @internal */
export interface Attachment<Host = unknown> {
  readonly name: string
  /** An IPv4 address. */
  ip: string
  /** Whether the computer sleeps: then it sends and hears nothing. */
  isAsleep: boolean
  /** Treatment of connections that others want to open to it; multicast gets in. */
  firewall: Firewall
  /** Hearer of packets there; null while nobody is. */
  host: Host | null
}

/**
 * Carries packets between devices, or does not: late, twice, in another order, or never.
 * @internal
 */
export class SimulatedNetwork<Host> {
  readonly clock: VirtualClock
  /** Whether there is a relay over which all devices reach each other. */
  readonly hasRelay: boolean
  readonly #random: () => number
  readonly #attachments: Attachment<Host>[] = []
  readonly #groups = new Map<Attachment<Host>, number>()
  readonly #blocked = new Map<Attachment<Host>, Set<Attachment<Host>>>()
  #faults: Required<Faults> = noFaults
  #addresses = 0

  constructor(clock: VirtualClock, random: () => number, hasRelay = false) {
    this.clock = clock
    this.hasRelay = hasRelay
    this.#random = random
  }

  attach(name: string): Attachment<Host> {
    const attachment: Attachment<Host> = {
      name,
      ip: this.#newAddress(),
      isAsleep: false,
      firewall: 'open',
      host: null,
    }
    this.#attachments.push(attachment)
    return attachment
  }

  /** Moves to another address, as in another network; packets to the old one are lost. */
  move(attachment: Attachment<Host>): void {
    attachment.ip = this.#newAddress()
  }

  /** Throws `invalid-argument`. */
  setFaults(faults: Faults): void {
    checkOptions(faults, faultNames, 'faults')
    const next = { ...noFaults, ...faults }
    const [least, most] = range(next.delayMs)
    requireThat(least >= 0 && most >= least && most < Infinity, 'delayMs', 'milliseconds, or two in order')
    requireThat(next.drop >= 0 && next.drop <= maxDrop, 'drop', `a share from 0 to ${maxDrop}`)
    requireThat(next.duplicate >= 0 && next.duplicate <= 1, 'duplicate', 'a share from 0 to 1')
    this.#faults = next
  }

  /**
   * Splits the network: devices of different groups do not reach each other; those that are in none reach everybody. Replaces
   * earlier groups.
   */
  partition(groups: readonly (readonly Attachment<Host>[])[]): void {
    this.#groups.clear()
    for (const [number, group] of groups.entries()) {
      for (const attachment of group) this.#groups.set(attachment, number)
    }
  }

  /** Loses all packets between the two, unless they go over the relay. */
  block(one: Attachment<Host>, other: Attachment<Host>): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      this.#blocked.set(from, (this.#blocked.get(from) ?? new Set()).add(to))
    }
  }

  unblock(): void {
    this.#blocked.clear()
  }

  find(isIt: (attachment: Attachment<Host>) => boolean): Attachment<Host> | undefined {
    return this.#attachments.find(isIt)
  }

  reaches(from: Attachment<Host>, to: Attachment<Host>, way: Way = 'direct'): boolean {
    if (from.isAsleep || to.isAsleep) return false
    if (way === 'direct' && this.#blocked.get(from)?.has(to) === true) return false
    const [one, other] = [this.#groups.get(from), this.#groups.get(to)]
    return one === undefined || other === undefined || one === other
  }

  /** Sends one packet. Calls `arrive` each time it arrives; `lost` when no copy of it ever will. */
  transmit(
    from: Attachment<Host>,
    to: Attachment<Host>,
    { arrive, lost = () => {}, way }: { arrive: () => void; lost?: () => void; way?: Way },
  ): void {
    const { delayMs, drop, duplicate } = this.#faults
    const [least, most] = range(delayMs)
    const copies = duplicate > 0 && this.#random() < duplicate ? 2 : 1
    const isSent = this.reaches(from, to, way)
    const stretch = way === 'relay' ? 2 : 1
    let missing = copies
    const lose = (): void => {
      if (--missing === 0) lost()
    }
    for (let copy = 0; copy < copies; copy++) {
      const isDropped = drop > 0 && this.#random() < drop
      this.clock.after(stretch * (least + this.#random() * (most - least)), () => {
        if (isSent && !isDropped && this.reaches(from, to, way)) arrive()
        else lose()
      })
    }
  }

  /** Sends to everybody else. */
  multicast(from: Attachment<Host>, arrive: (to: Attachment<Host>) => void): void {
    for (const to of this.#attachments) {
      if (to !== from) this.transmit(from, to, { arrive: () => arrive(to) })
    }
  }

  #newAddress(): string {
    const number = ++this.#addresses
    return `10.0.${number >> 8}.${number & 255}`
  }
}

const faultNames: OptionNames<Faults> = { delayMs: true, drop: true, duplicate: true }
const noFaults: Required<Faults> = { delayMs: [1, 5], drop: 0, duplicate: 0 }
const maxDrop = 0.9

function range(delayMs: number | readonly [number, number]): readonly [number, number] {
  return typeof delayMs === 'number' ? [delayMs, delayMs] : delayMs
}

function requireThat(isFine: boolean, name: string, what: string): void {
  if (isFine) return
  throw new SpacedockError('invalid-argument', `The fault "${name}" makes no sense.`, {
    hint: `Give ${what}.`,
  })
}
