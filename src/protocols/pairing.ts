import type { Connection, Stream } from '@libp2p/interface'
import { SpacedockError } from '../errors.ts'
import type { CandidateSource } from '../network/discovery/rendezvous.ts'
import { request, serve } from '../network/request-response.ts'
import { deriveCodeKeys, type CodeKeys } from '../pairing/key-schedule.ts'
import {
  decodeMessage,
  encodeMessage,
  maxMessageLength,
  type MessageOf,
  type PairingMessage,
} from '../pairing/messages.ts'
import { formatPairingCode } from '../pairing/pairing-code.ts'
import { sameMac } from '../pairing/proofs.ts'
import { InvitationRunner } from './invitation.ts'
import { JoinRunner } from './join.ts'
import type { PairingComponents, PairingRun } from './pairing-components.ts'

export const pairingProtocol = '/spacedock/pairing/1.0.0'

/** Live and remembered invitations together; more than a person ever has, few enough to try each on every request. */
const maxInvitations = 32
/** Longest that an answer waits for a person before it says `Waiting`; the asker's patience is 5 s. */
const holdMs = 2_000
/** An exchange of ours: the other side answers within 5 s, or not at all. */
const exchangeTimeoutMs = 8_000

/** Runs the pure machines: brings them what arrives, does what they say. Any number of invitations and joins at once. */
export class PairingService {
  readonly #components: PairingComponents
  readonly #invitations = new Set<InvitationRunner>()
  readonly #joins = new Set<JoinRunner>()
  /** By peer, the last exchange of a join that is under way or waits. */
  readonly #turns = new Map<string, Promise<PairingMessage | null>>()

  constructor(components: PairingComponents) {
    this.#components = components
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
    return { words: formatPairingCode(entropy), keys, expiresAtMs: clock.wall() + runner.lifetimeMs, runner }
  }

  /** Looks for the initiator until it is paired; resolves with its peer id. */
  async join(
    entropy: Uint8Array,
    options: PairingRun & { sources: readonly CandidateSource[]; timeoutMs: number },
  ): Promise<{ peer: string; keys: CodeKeys }> {
    const keys = deriveCodeKeys(this.#components.suite, entropy)
    const runner = new JoinRunner(this.#components, keys, options, {
      exchange: (peer, addresses, message, signal) =>
        this.#inTurn(peer, () => this.#exchange(peer, addresses, message, signal)),
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

  /** Whether strangers may be of interest now: only while somebody pairs. */
  get isPairing(): boolean {
    return this.#joins.size > 0 || [...this.#invitations].some((invitation) => invitation.isLive)
  }

  /** A session's hello has proved the key of this pairing, which is as good as the joiner's last word. */
  confirmedBySession(peer: string, acknowledgement: Uint8Array): void {
    this.#firstAnswer((invitation) => invitation.onConfirmed(peer, { type: 'Confirmed', acknowledgement }))
  }

  /** Serves `/spacedock/pairing/1.0.0`. Whatever is not for a live invitation or join of ours gets the same silence. */
  async handle(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString()
    await serve(stream, { maxBytes: maxMessageLength }, async (question, { signal }) => {
      const message = decodeMessage(question)
      const answer = message === null ? null : await this.#answer(peer, message, signal)
      return answer === null ? null : encodeMessage(answer)
    })
  }

  async close(): Promise<void> {
    const told = [...this.#invitations].map((invitation) => invitation.close())
    const ended = [...this.#joins].map((join) => join.cancel())
    await Promise.allSettled([...told, ...ended])
  }

  async #answer(peer: string, message: PairingMessage, signal: AbortSignal): Promise<PairingMessage | null> {
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
          const answer = await invitation.onResponse(
            peer,
            message,
            AbortSignal.any([signal, AbortSignal.timeout(holdMs)]),
          )
          if (answer !== null) return answer
        }
        return null
      }
      case 'Confirmed':
        return this.#answerConfirmed(peer, message)
      case 'Cancel': {
        for (const join of this.#joins) {
          const answer = join.onCancelReceived(peer, message)
          if (answer !== null) return answer
        }
        return this.#firstAnswer((invitation) => invitation.onCancelReceived(peer, message))
      }
      // Only ever answers; nobody opens an exchange with one of these.
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

  /**
   * An invitation that was called off refuses whatever its winner confirms, also what was meant for a later one: its
   * refusal counts only when nothing else knows the word.
   */
  #answerConfirmed(peer: string, message: MessageOf<'Confirmed'>): PairingMessage | null {
    const answers = [...this.#invitations].map((invitation) => invitation.onConfirmed(peer, message))
    return (
      answers.find((answer) => answer?.type === 'Acknowledged') ??
      this.#confirmAfterRestart(peer, message.acknowledgement) ??
      answers.find((answer) => answer !== null) ??
      null
    )
  }

  /** The joiner's last word for an invitation that ended with an earlier process: the pending row knows it. */
  #confirmAfterRestart(peer: string, acknowledgement: Uint8Array): PairingMessage | null {
    const { trust, log } = this.#components
    const expected = trust.expectedAcknowledgement(peer)
    if (expected === null || !sameMac(expected, acknowledgement)) return null
    try {
      trust.activate(peer, expected)
    } catch (error) {
      log('error', 'pairing.persist-failed', { peer, error: String(error) })
      return null
    }
    log('info', 'pairing.finished-after-restart', { peer })
    return { type: 'Acknowledged' }
  }

  /** Joins talk to the same peer one after the other, so that one gives way before it speaks again. */
  #inTurn(peer: string, exchange: () => Promise<PairingMessage | null>): Promise<PairingMessage | null> {
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
    peer: string,
    addresses: readonly string[],
    message: PairingMessage,
    signal: AbortSignal,
  ): Promise<PairingMessage | null> {
    const { host, addressesOf } = this.#components
    if (signal.aborted) return null
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(exchangeTimeoutMs)])
    try {
      const connection = await host.connect(peer, [...addresses, ...addressesOf(peer)], { signal: deadline })
      const stream = await host.openStream(connection, pairingProtocol, { signal: deadline })
      const answer = await request(stream, encodeMessage(message), {
        maxBytes: maxMessageLength,
        signal: deadline,
      })
      return decodeMessage(answer)
    } catch (error) {
      this.#components.log('debug', 'pairing.no-answer', { peer, error: String(error) })
      return null
    }
  }

  async #tell(peer: string, message: PairingMessage): Promise<void> {
    await this.#exchange(peer, [], message, AbortSignal.timeout(3_000))
  }

  #dropForgettable(): void {
    for (const invitation of this.#invitations) {
      if (!invitation.isForgettable) continue
      this.#invitations.delete(invitation)
    }
  }
}
