import { addAbortListener } from 'node:events'
import { pause } from '../clock.ts'
import { findCandidates } from '../network/discovery/candidate-sources.ts'
import {
  joinerDueAt,
  startJoiner,
  type JoinerEffect,
  type JoinerEvent,
  type JoinerState,
} from '../pairing/joiner-state.ts'
import { advance } from '../pairing/joiner.ts'
import type { CodeKeys } from '../pairing/key-schedule.ts'
import type { MessageOf, PairingMessage } from '../pairing/pairing-messages.ts'
import { CandidateQueue } from './candidate-queue.ts'
import { MachineRun, type MachineWork } from './machine-run.ts'
import type { JoinRun, PairingComponents, PairingTransport } from './pairing-components.ts'
import { pairingError, storageFailure, unfinishedPairing } from './pairing-errors.ts'
import type { PeerId } from '../pairing/peer-id.ts'

/** Interval between two repetitions of the same message. */
const repeatMs = 300

/** Runs one joiner machine: finds candidates, asks them, and repeats what must arrive. */
export class JoinRunner implements MachineWork<JoinerState, JoinerEffect> {
  readonly #components: PairingComponents
  readonly #run: JoinRun
  readonly #transport: PairingTransport
  /** Joins that run, this one among them. */
  readonly #joins: ReadonlySet<JoinRunner>
  readonly #peers: CandidateQueue
  readonly #machine: MachineRun<JoinerState, JoinerEvent, JoinerEffect>
  readonly #outcome = Promise.withResolvers<PeerId>()
  readonly #ended = new AbortController()
  /** Aborts when a newer join responds to the peer that this one responds to. */
  #ownTurn = new AbortController()
  readonly #told: Promise<void>[] = []
  #isWaiting = false

  constructor(
    components: PairingComponents,
    keys: CodeKeys,
    run: JoinRun,
    { transport, joins }: { transport: PairingTransport; joins: ReadonlySet<JoinRunner> },
  ) {
    this.#components = components
    this.#run = run
    this.#transport = transport
    this.#joins = joins
    this.#peers = new CandidateQueue(components.clock, (peer) => this.#askWhether(peer))
    const start = startJoiner(components.clock.monotonic() + run.timeoutMs)
    const machine = { role: 'joiner', start, advance, dueAt: joinerDueAt } as const
    this.#machine = new MachineRun<JoinerState, JoinerEvent, JoinerEffect>(components, keys, machine, this)
  }

  async run(): Promise<PeerId> {
    const { signal, sources, observer } = this.#run
    const { host, connections } = this.#components
    const onAbort = (): void => void this.#machine.deliver({ type: 'cancelled' })
    using _listening = signal && addAbortListener(signal, onAbort)
    try {
      findCandidates(sources, {
        signal: this.#ended.signal,
        onCandidate: (found) => {
          if (this.#machine.state.phase !== 'searching' || found.peer === host.peerId) return
          const news = this.#peers.add(found)
          if (news.length > 0) void this.#transport.reachAlsoAt(found.peer, news, this.#machine.phase)
        },
        onStatus: (source, status, detail) => observer.progress({ kind: 'source', source, status, detail }),
      })
      return await this.#outcome.promise
    } finally {
      this.#ended.abort()
      this.#machine.stop()
      this.#peers.close()
      await Promise.allSettled(this.#told)
      for (const peer of this.#peers.all()) connections.release(peer)
    }
  }

  /**
   * Yields to another join that responds to this peer with a newer code. A Response to the older one would burn that, if the peer
   * has been restarted and does not know its own older Challenge any more.
   */
  giveWay(peer: PeerId): void {
    const { state } = this.#machine
    if (state.phase === 'responding' && state.exchange.candidate.peer === peer) this.#ownTurn.abort()
  }

  async cancel(): Promise<void> {
    this.#machine.deliver({ type: 'cancelled' })
    await Promise.allSettled(this.#told)
  }

  onCancelReceived(peer: PeerId, message: MessageOf<'Cancel'>): PairingMessage | null {
    return this.#machine.deliver({ type: 'cancel-received', peer, message })
  }

  perform(effect: JoinerEffect): PairingMessage | null {
    const { observer, confirm } = this.#run
    switch (effect.type) {
      case 'answer':
        return effect.message
      case 'silence':
        return null
      case 'ask-peer':
        this.#observe(this.#askPeer(effect.peer, effect.message))
        return null
      case 'repeat':
        this.#observe(this.#repeat(effect.peer, effect.message))
        return null
      case 'send':
        this.#told.push(this.#transport.tell(effect.peer, effect.message))
        return null
      case 'show-digits':
        observer.progress({ kind: 'contact' })
        observer.progress({ kind: 'digits', digits: effect.digits })
        return null
      case 'waiting':
        // The other side says it again and again, for as long as the person thinks.
        if (!this.#isWaiting) observer.progress({ kind: 'waiting' })
        this.#isWaiting = true
        return null
      case 'ask':
        this.#machine.ask(effect, confirm)
        return null
      case 'persist':
        this.#machine.persist(effect)
        return null
      case 'forget':
        this.#machine.forget(effect)
        return null
      case 'finished':
        this.#finish(effect)
        return null
    }
  }

  phaseChanged(state: JoinerState, before: JoinerState): void {
    this.#isWaiting = false
    if (before.phase === 'searching') this.#peers.pause()
    if (state.phase === 'responding') {
      const { peer } = state.exchange.candidate
      this.#ownTurn = new AbortController()
      for (const other of this.#joins) if (other !== this) other.giveWay(peer)
      this.#machine.showPairing(peer)
    }
    if (state.phase === 'searching') {
      this.#machine.showPairing(null)
      this.#peers.resume()
    }
  }

  #askWhether(peer: PeerId): void {
    const { random } = this.#components
    this.#machine.deliver({ type: 'candidate', peer, fresh: { nonce: random(32), secret: random(32) } })
  }

  async #askPeer(peer: PeerId, message: PairingMessage): Promise<void> {
    const signal = AbortSignal.any([this.#machine.phase, this.#peers.patienceWith(peer)])
    const answer = await this.#transport.exchange(peer, this.#peers.addressesOf(peer), message, signal)
    if (answer !== null) this.#machine.deliver({ type: 'answered', peer, message: answer })
    this.#peers.asked(peer)
  }

  /** Sends the same bytes again and again, over whatever connection there is, until the machine has moved on. */
  async #repeat(peer: PeerId, message: PairingMessage): Promise<void> {
    const { clock } = this.#components
    const signal = AbortSignal.any([this.#machine.phase, this.#ownTurn.signal])
    while (!signal.aborted) {
      const startedAt = clock.monotonic()
      const answer = await this.#transport.exchange(peer, this.#peers.addressesOf(peer), message, signal)
      if (signal.aborted) return
      if (answer !== null) this.#machine.deliver({ type: 'answered', peer, message: answer })
      await pause(clock, Math.max(0, startedAt + repeatMs - clock.monotonic()), signal)
    }
  }

  #observe(work: Promise<void>): void {
    work.catch((error: unknown) => this.#components.log('error', 'pairing.defect', { error: String(error) }))
  }

  #finish(effect: Extract<JoinerEffect, { type: 'finished' }>): void {
    const { persistError } = this.#machine
    switch (effect.outcome) {
      case 'paired':
        return this.#outcome.resolve(effect.peer)
      case 'unfinished':
        this.#components.connections.connectNow(effect.peer)
        return this.#outcome.reject(unfinishedPairing(persistError))
      case 'failed':
        return this.#outcome.reject(
          effect.reason === 'persist-failed'
            ? storageFailure(persistError)
            : pairingError(effect.reason, 'joiner', this.#run.observer),
        )
    }
  }
}
