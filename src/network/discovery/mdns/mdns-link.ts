import type { Clock } from '../../../api.ts'
import {
  encodeGoodbye,
  encodeQuery,
  encodeServiceList,
  readPacket,
  recordLifetimeSeconds,
} from './mdns-packets.ts'
import type { DecodedPacket, HeardPeer, KnownPeer, Packet } from './mdns-packets.ts'
import { LinkSchedule } from './mdns-schedule.ts'

/** What a link speaks through and for, and whom it tells what it hears. */
export interface LinkOwner {
  send(packet: Packet): void
  /** Returns our records; undefined while there is no address to announce. */
  announcement(): Packet | undefined
  /** Peers whose answers this link need not hear again. */
  known(): KnownPeer[]
  /** Takes what a packet of this sender, an IP address, says of a peer. */
  peerHeard(peer: HeardPeer, sender: string): void
  /** Takes the news that a packet of our own came back: multicast works here, in both directions. */
  ownPacketHeard(): void
}

export interface LinkOptions {
  ownName: string
  clock: Clock
  random: () => number
}

/** The mDNS conversation on one interface and one IP family: RFC 6762, as far as libp2p's one service needs it. */
export class Link {
  readonly #owner: LinkOwner
  readonly #options: LinkOptions
  readonly #schedule: LinkSchedule
  /** Truncated queries, whose other packets are to come, by sender. */
  readonly #incomplete = new Map<string, { known: KnownPeer[]; cancel: () => void }>()
  #cancelTimer: () => void = () => {}
  #cancelServiceList: (() => void) | undefined
  #stopped = false

  constructor(owner: LinkOwner, options: LinkOptions) {
    this.#owner = owner
    this.#options = options
    this.#schedule = new LinkSchedule(options.random)
  }

  /** Announces us, then asks who else is there: after the announcement, others answer us by name. */
  start(): void {
    this.#schedule.announce(this.#now)
    this.refresh()
  }

  announce(): void {
    this.#schedule.announce(this.#now)
    this.#act()
  }

  refresh(): void {
    this.#schedule.refresh(this.#now)
    this.#act()
  }

  /** Stops, with a goodbye unless the interface is gone. */
  stop({ goodbye }: { goodbye: boolean }): void {
    this.#stopped = true
    this.#cancelTimer()
    this.#cancelServiceList?.()
    for (const { cancel } of this.#incomplete.values()) cancel()
    this.#incomplete.clear()
    if (goodbye && this.#owner.announcement() !== undefined)
      this.#owner.send(encodeGoodbye(this.#options.ownName))
  }

  /** Takes a packet that came from this IP address. */
  receive(packet: DecodedPacket, from: string): void {
    if (this.#stopped) return
    const { ownName } = this.#options
    const heard = readPacket(packet)
    if (heard.kind === 'response') {
      if (heard.listsService) this.#cancelList()
      for (const peer of heard.peers) {
        if (peer.name === ownName) this.#owner.ownPacketHeard()
        else this.#owner.peerHeard(peer, from)
      }
      return
    }
    const [first] = heard.known
    const sender = first?.name ?? ''
    if (sender === ownName && first?.ttlSeconds === recordLifetimeSeconds) {
      this.#owner.ownPacketHeard()
      return
    }
    if (heard.asksForServices) this.#scheduleServiceList()
    const begun = this.#incomplete.get(sender)
    if (!heard.asksForPeers && begun === undefined) return
    begun?.cancel()
    this.#incomplete.delete(sender)
    const known = [...(begun?.known ?? []), ...heard.known]
    if (heard.truncated) this.#awaitMore(sender, known)
    else this.#questionHeard(sender, known)
  }

  get #now(): number {
    return this.#options.clock.monotonic()
  }

  #questionHeard(sender: string, theirs: KnownPeer[]): void {
    const { ownName } = this.#options
    const ours = new Set(this.#owner.known().map(({ name }) => name))
    const aboutUs = theirs.find(({ name }) => name === ownName)
    // Known answers count only with at least half of their lifetime left (RFC 6762, 7.1).
    if (aboutUs === undefined || aboutUs.ttlSeconds < recordLifetimeSeconds / 2) {
      this.#schedule.questionHeard(this.#now, ours.size)
    }
    const nothingNew = theirs.every(({ name }) => name === ownName || name === sender || ours.has(name))
    if (nothingNew) this.#schedule.sameQuestionHeard(this.#now)
    this.#act()
  }

  /** Waits for the rest of a query's known answers: it comes within 400 to 500 ms, or not at all (RFC 6762, 7.2). */
  #awaitMore(sender: string, known: KnownPeer[]): void {
    if (this.#incomplete.size >= maximumIncompleteQueries || known.length > maximumKnownAnswers) {
      this.#questionHeard(sender, known)
      return
    }
    const cancel = this.#options.clock.after(400 + this.#options.random() * 100, () => {
      this.#incomplete.delete(sender)
      this.#questionHeard(sender, known)
    })
    this.#incomplete.set(sender, { known, cancel })
  }

  /**
   * Schedules the answer that is the same for everybody on the link: a host that hears another give it keeps silent (RFC 6762,
   * 7.4).
   */
  #scheduleServiceList(): void {
    this.#cancelServiceList ??= this.#options.clock.after(20 + this.#options.random() * 100, () => {
      this.#cancelServiceList = undefined
      this.#owner.send(encodeServiceList())
    })
  }

  #cancelList(): void {
    this.#cancelServiceList?.()
    this.#cancelServiceList = undefined
  }

  #act(): void {
    this.#cancelTimer()
    const { answer, query } = this.#schedule.due(this.#now)
    const announcement = answer ? this.#owner.announcement() : undefined
    if (announcement !== undefined) this.#owner.send(announcement)
    if (query !== undefined) {
      const known = query === 'afresh' ? [] : this.#owner.known().slice(0, maximumKnownAnswers)
      for (const packet of encodeQuery(this.#options.ownName, known)) this.#owner.send(packet)
    }
    const delayMs = Math.max(0, this.#schedule.nextAtMs() - this.#now)
    this.#cancelTimer = this.#options.clock.after(delayMs, () => this.#act())
  }
}

/** Known answers of eight packets; a peer beyond them answers once more than needed. */
const maximumKnownAnswers = 136
const maximumIncompleteQueries = 32
