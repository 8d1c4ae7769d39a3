import type { Connection, Stream } from '@libp2p/interface'
import { SpacedockError } from '../errors.ts'
import type { StreamProtocol } from '../network/application/protocol-registry.ts'
import { serve } from '../network/request-response.ts'
import { invitationLifetimeMs } from '../pairing/limits.ts'
import { deriveCodeKeys, type CodeKeys } from '../pairing/key-schedule.ts'
import {
  decodeMessage,
  encodeMessage,
  maxMessageLength,
  type PairingMessage,
} from '../pairing/pairing-messages.ts'
import { formatPairingCode } from '../pairing/pairing-code.ts'
import { InvitationRunner } from './invitation-runner.ts'
import { JoinRunner } from './join-runner.ts'
import { sessionIdOf } from './machine-run.ts'
import type { JoinRun, PairingComponents, PairingRun } from './pairing-components.ts'
import { PairingExchanges, pairingProtocol } from './pairing-exchanges.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerIdOf } from '../libp2p-peer.ts'

/** Number of live and remembered invitations together; more than a person ever has, few enough to try each on every request. */
const maxInvitations = 32
/** Code that was made, and is not shown yet. */
export interface NewCode {
  words: string
  keys: CodeKeys
  /** Wall clock, in milliseconds. */
  expiresAtMs: number
}

/** Runs the pure machines: brings them what arrives, does what they say. Any number of invitations and joins at once. */
export class PairingService {
  readonly #components: PairingComponents
  readonly #invitations = new Set<InvitationRunner>()
  readonly #joins = new Set<JoinRunner>()
  readonly #exchanges: PairingExchanges

  constructor(components: PairingComponents) {
    this.#components = components
    this.#exchanges = new PairingExchanges(components)
  }

  /** Makes a code of fresh entropy. Throws `invalid-argument` when there are too many. */
  newCode(): NewCode {
    const { suite, random, clock } = this.#components
    this.#dropForgettable()
    if (this.#invitations.size >= maxInvitations) {
      throw new SpacedockError('invalid-argument', 'Too many codes were made in the last minutes.', {
        hint: 'Wait ten minutes, then try again.',
      })
    }
    const entropy = random(16)
    return {
      words: formatPairingCode(entropy),
      keys: deriveCodeKeys(suite, entropy),
      expiresAtMs: clock.wall() + invitationLifetimeMs,
    }
  }

  /** Opens an invitation with the code. */
  invite(code: NewCode, run: PairingRun): InvitationRunner {
    const runner = new InvitationRunner(this.#components, code.keys, run, this.#exchanges)
    this.#invitations.add(runner)
    return runner
  }

  /** Whether this device shows the code now: nobody else can have made it. */
  shows(keys: CodeKeys): boolean {
    const sessionId = sessionIdOf(keys)
    return [...this.#invitations].some(
      (invitation) => invitation.isLive && invitation.sessionId === sessionId,
    )
  }

  /** Looks for the initiator until it is paired; resolves with its peer id. */
  async join(keys: CodeKeys, run: JoinRun): Promise<PeerId> {
    const runner = new JoinRunner(this.#components, keys, run, {
      transport: this.#exchanges,
      joins: this.#joins,
    })
    this.#joins.add(runner)
    try {
      return await runner.run()
    } finally {
      this.#joins.delete(runner)
    }
  }

  /** Takes the proof of this pairing's key by a session's hello, which is as good as the joiner's last word. */
  confirmedBySession(peer: PeerId, acknowledgement: Uint8Array): void {
    this.#firstAnswer((invitation) => invitation.onConfirmed(peer, { type: 'Confirmed', acknowledgement }))
  }

  /** Protocol that the registry serves. */
  get protocol(): StreamProtocol {
    return {
      protocol: pairingProtocol,
      access: 'strangers',
      handle: (stream, connection) => this.handle(stream, connection),
    }
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

  #dropForgettable(): void {
    for (const invitation of this.#invitations) {
      if (!invitation.isForgettable) continue
      this.#invitations.delete(invitation)
    }
  }
}
