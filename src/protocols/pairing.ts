import type { Connection, Stream } from '@libp2p/interface'
import { SpacedockError } from '../errors.ts'
import { startDeadline } from '../network/deadline.ts'
import { request, serve } from '../network/request-response.ts'
import { invitationLifetimeMs } from '../pairing/limits.ts'
import { deriveCodeKeys, type CodeKeys } from '../pairing/key-schedule.ts'
import {
  decodeMessage,
  encodeMessage,
  maxMessageLength,
  pairingVersion,
  type PairingMessage,
} from '../pairing/messages.ts'
import { formatPairingCode } from '../pairing/pairing-code.ts'
import { InvitationRunner } from './invitation.ts'
import { JoinRunner } from './join.ts'
import { sessionIdOf } from './machine-run.ts'
import type { JoinRun, PairingComponents, PairingRun } from './pairing-components.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerIdOf } from '../peer-id.ts'

export const pairingProtocol = `/spacedock/pairing/${pairingVersion}.0.0`

/** Number of live and remembered invitations together; more than a person ever has, few enough to try each on every request. */
const maxInvitations = 32
/** Time for an exchange of ours: the other side answers within 5 s, or not at all. */
const exchangeTimeoutMs = 8_000
/** Time for a dial at addresses that were news: wrong ones must not keep the right ones of the next packet waiting for long. */
const reachTimeoutMs = 1_000
/** Time for a message that needs no answer: somebody waits for us to end meanwhile. */
const tellTimeoutMs = 3_000

/** Runs the pure machines: brings them what arrives, does what they say. Any number of invitations and joins at once. */
export class PairingService {
  readonly #components: PairingComponents
  readonly #invitations = new Set<InvitationRunner>()
  readonly #joins = new Set<JoinRunner>()
  /** Peers that are dialled at addresses that were news of them. */
  readonly #reaching = new Set<string>()
  /** The last exchange of a join, under way or waiting, by peer. */
  readonly #turns = new Map<string, Promise<PairingMessage | null>>()

  /** Waits for a connection, by peer. */
  readonly #arrivals = new Map<string, Set<(connection: Connection) => void>>()

  constructor(components: PairingComponents) {
    this.#components = components
    components.host.onConnection((connection) => {
      if (connection.direction === 'inbound') this.#arrived(connection)
    })
  }

  /** Opens an invitation with fresh entropy. */
  invite(run: PairingRun): { words: string; keys: CodeKeys; expiresAtMs: number; runner: InvitationRunner } {
    const { suite, random, clock } = this.#components
    this.#dropForgettable()
    if (this.#invitations.size >= maxInvitations) {
      throw new SpacedockError('invalid-argument', 'Too many codes were made in the last minutes.', {
        hint: 'Wait ten minutes, then try again.',
      })
    }
    const entropy = random(16)
    const keys = deriveCodeKeys(suite, entropy)
    const runner = new InvitationRunner(this.#components, keys, run, (peer, message) =>
      this.#tell(peer, message),
    )
    this.#invitations.add(runner)
    return {
      words: formatPairingCode(entropy),
      keys,
      expiresAtMs: clock.wall() + invitationLifetimeMs,
      runner,
    }
  }

  /** Whether this device shows the code now: nobody else can have made it. */
  shows(keys: CodeKeys): boolean {
    const sessionId = sessionIdOf(keys)
    return [...this.#invitations].some(
      (invitation) => invitation.isLive && invitation.sessionId === sessionId,
    )
  }

  /** Looks for the initiator until it is paired; resolves with its peer id. */
  async join(entropy: Uint8Array, options: JoinRun): Promise<{ peer: PeerId; keys: CodeKeys }> {
    const keys = deriveCodeKeys(this.#components.suite, entropy)
    const runner = new JoinRunner(this.#components, keys, options, {
      exchange: (peer, addresses, message, signal) =>
        this.#inTurn(peer, () => this.#exchange(peer, addresses, message, signal)),
      reachAlsoAt: (peer, addresses, signal) => void this.#reachAlsoAt(peer, addresses, signal),
      claim: (peer) => {
        for (const other of this.#joins) if (other !== runner) other.giveWay(peer)
      },
      tell: (peer, message) => this.#tell(peer, message),
    })
    this.#joins.add(runner)
    try {
      return { peer: await runner.run(), keys }
    } finally {
      this.#joins.delete(runner)
    }
  }

  /** Takes the proof of this pairing's key by a session's hello, which is as good as the joiner's last word. */
  confirmedBySession(peer: PeerId, acknowledgement: Uint8Array): void {
    this.#firstAnswer((invitation) => invitation.onConfirmed(peer, { type: 'Confirmed', acknowledgement }))
  }

  /** Serves `/spacedock/pairing/1.0.0`. A message for no live invitation or join of ours gets the same silence. */
  async handle(stream: Stream, connection: Connection): Promise<void> {
    const peer = peerIdOf(connection.remotePeer)
    await serve(
      stream,
      { maxBytes: maxMessageLength, clock: this.#components.clock },
      async (question, { signal }) => {
        const message = decodeMessage(question)
        const answer = message === null ? null : await this.#answer(peer, message, signal)
        return answer === null ? null : encodeMessage(answer)
      },
    )
  }

  async close(): Promise<void> {
    const told = [...this.#invitations].map((invitation) => invitation.close())
    const ended = [...this.#joins].map((join) => join.cancel())
    await Promise.allSettled([...told, ...ended])
  }

  async #answer(peer: PeerId, message: PairingMessage, signal: AbortSignal): Promise<PairingMessage | null> {
    this.#dropForgettable()
    switch (message.type) {
      case 'PairingRequest':
        return this.#firstAnswer((invitation) => invitation.onRequest(peer, message))
      case 'Response': {
        const addressed = [...this.#invitations].filter((invitation) =>
          invitation.isAddressedBy(peer, message),
        )
        const candidates = addressed.length > 0 ? addressed : [...this.#invitations]
        for (const invitation of candidates) {
          const answer = await invitation.onResponse(peer, message, { signal })
          if (answer !== null) return answer
        }
        return null
      }
      case 'Confirmed':
        return (
          this.#firstAnswer((invitation) => invitation.onConfirmed(peer, message)) ??
          this.#confirmAfterRestart(peer, message.acknowledgement)
        )
      case 'Cancel': {
        for (const join of this.#joins) {
          const answer = join.onCancelReceived(peer, message)
          if (answer !== null) return answer
        }
        return this.#firstAnswer((invitation) => invitation.onCancelReceived(peer, message))
      }
      // Answers only: nobody opens an exchange with one of these.
      case 'Challenge':
      case 'Waiting':
      case 'Complete':
      case 'Refused':
      case 'Acknowledged':
        return null
    }
  }

  #firstAnswer(ask: (invitation: InvitationRunner) => PairingMessage | null): PairingMessage | null {
    // Every invitation is tried, also after one has answered: how long silence takes must not tell how many there are.
    const answers = [...this.#invitations].map(ask)
    return answers.find((answer) => answer !== null) ?? null
  }

  #confirmAfterRestart(peer: PeerId, acknowledgement: Uint8Array): PairingMessage | null {
    const { trust, log } = this.#components
    try {
      if (!trust.activateByLastWord(peer, acknowledgement)) return null
    } catch (error) {
      log('error', 'pairing.persist-failed', { peer, error: String(error) })
      return null
    }
    log('info', 'pairing.finished-after-restart', { peer })
    return { type: 'Acknowledged' }
  }

  /** Joins talk to the same peer one after the other, so that one gives way before it speaks again. */
  #inTurn(peer: PeerId, exchange: () => Promise<PairingMessage | null>): Promise<PairingMessage | null> {
    const turn = (this.#turns.get(peer) ?? Promise.resolve()).then(exchange)
    this.#turns.set(peer, turn)
    const forget = (): void => {
      if (this.#turns.get(peer) === turn) this.#turns.delete(peer)
    }
    turn.then(forget, forget)
    return turn
  }

  /** Sends one message on a stream of its own and brings the answer; null when there is none worth having. */
  async #exchange(
    peer: PeerId,
    addresses: readonly string[],
    message: PairingMessage,
    signal: AbortSignal,
  ): Promise<PairingMessage | null> {
    const { host, clock, log } = this.#components
    if (signal.aborted) return null
    const deadline = startDeadline(exchangeTimeoutMs, exchangeTimedOut, { signal, clock })
    const { signal: until } = deadline
    let connection: Connection | undefined
    try {
      connection = await this.#connect(peer, addresses, until)
      const stream = await host.openStream(connection, pairingProtocol, { signal: until })
      const options = { maxBytes: maxMessageLength, signal: until, clock }
      return decodeMessage(await request(stream, encodeMessage(message), options))
    } catch (error) {
      log('debug', 'pairing.no-answer', { peer, error: String(error) })
      // A dead connection would be used again and again; one that carries a session is watched by that.
      const isSilent = until.aborted && !signal.aborted
      if (isSilent && connection?.streams.length === 0) connection.abort(exchangeTimedOut())
      return null
    } finally {
      deadline.stop()
    }
  }

  /** Connects by a dial of ours, or by one of the other side: firewalls may let only one of the two through. */
  async #connect(peer: PeerId, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
    const { host, addressesOf } = this.#components
    const { promise: arrival, resolve } = Promise.withResolvers<Connection>()
    const waiting = this.#arrivals.get(peer) ?? new Set()
    this.#arrivals.set(peer, waiting.add(resolve))
    const noLongerNeeded = new AbortController()
    const dial = host.connect(peer, [...addresses, ...addressesOf(peer)], {
      signal: AbortSignal.any([signal, noLongerNeeded.signal]),
    })
    try {
      return await Promise.race([dial, arrival])
    } finally {
      noLongerNeeded.abort()
      dial.catch(() => {})
      waiting.delete(resolve)
      if (waiting.size === 0) this.#arrivals.delete(peer)
    }
  }

  /** Never rejects. */
  async #reachAlsoAt(peer: PeerId, addresses: readonly string[], signal: AbortSignal): Promise<void> {
    // One such dial at a time: a peer that announces new addresses without end must not be dialled without end.
    if (!this.#arrivals.has(peer) || this.#reaching.has(peer)) return
    this.#reaching.add(peer)
    const { host, clock } = this.#components
    const deadline = startDeadline(reachTimeoutMs, exchangeTimedOut, { signal, clock })
    const connection = await host.connect(peer, addresses, { signal: deadline.signal }).catch(() => null)
    deadline.stop()
    this.#reaching.delete(peer)
    if (connection !== null) this.#arrived(connection)
  }

  #arrived(connection: Connection): void {
    for (const arrived of this.#arrivals.get(peerIdOf(connection.remotePeer)) ?? []) arrived(connection)
  }

  async #tell(peer: PeerId, message: PairingMessage): Promise<void> {
    const patience = startDeadline(tellTimeoutMs, exchangeTimedOut, this.#components)
    await this.#exchange(peer, [], message, patience.signal)
    patience.stop()
  }

  #dropForgettable(): void {
    for (const invitation of this.#invitations) {
      if (!invitation.isForgettable) continue
      this.#invitations.delete(invitation)
    }
  }
}

function exchangeTimedOut(): SpacedockError {
  return new SpacedockError('timed-out', 'The other device did not answer in time.')
}
