import type { HandshakeContext } from '../../src/pairing/machine.ts'
import { derivePairKey } from '../../src/pairing/key-schedule.ts'
import { transcript } from '../../src/pairing/transcript.ts'
import type { MessageOf, PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { entropyLength, formatPairingCode } from '../../src/pairing/pairing-code.ts'
import { randomBytes } from 'node:crypto'
import { contextOf, fresh, initiator, keysOf, makeComplete, openResponse } from './by-hand.ts'
import type { RawPeer } from './raw-peer.ts'
import type { Scene } from './scene.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { asPeer } from '../peers.ts'

/** Somebody who shows, or has stolen, a code, and answers whoever asks; every answer can be replaced. */
export class HandInitiator {
  readonly raw: RawPeer
  readonly context: HandshakeContext
  readonly words: string
  /** By joiner. */
  readonly attempts = new Map<string, initiator.Attempt>()
  readonly heard: PairingMessage[] = []
  complete: MessageOf<'Complete'> | undefined

  private constructor(raw: RawPeer, words: string) {
    this.raw = raw
    this.words = words
    this.context = contextOf(keysOf(words), raw.peerId)
  }

  static async start(
    scene: Scene,
    answer: (this: void, own: HandInitiator, message: PairingMessage, peer: PeerId) => PairingMessage | null,
    words = formatPairingCode(new Uint8Array(randomBytes(entropyLength))),
  ): Promise<HandInitiator> {
    const raw = await scene.rawPeer()
    const own = new HandInitiator(raw, words)
    await raw.serve((message, peer) => {
      own.heard.push(message)
      return answer(own, message, asPeer(peer))
    })
    return own
  }

  /** A right Challenge to this request, whatever its probe is. */
  challenge(
    { commitment, probe }: MessageOf<'PairingRequest'>,
    peer: PeerId,
    opening = fresh(),
  ): MessageOf<'Challenge'> {
    const { suite } = this.context
    const start = transcript.start(suite, this.context.localPeerId, peer)
    const requested = transcript.request(suite, start, commitment, probe)
    const attempt = initiator.makeAttempt(this.context, { peer, requested, commitment }, opening, 0)
    this.attempts.set(peer, attempt)
    return attempt.challenge
  }

  opened(response: MessageOf<'Response'>, peer: PeerId): ReturnType<typeof openResponse> {
    const attempt = this.attempts.get(peer)
    if (attempt === undefined) throw new Error('this peer was not challenged')
    return openResponse(this.context, attempt, response)
  }

  /** A right Complete, or one with another proof. */
  completeOf(
    response: MessageOf<'Response'>,
    peer: PeerId,
    proof?: (completed: Uint8Array) => Uint8Array,
  ): MessageOf<'Complete'> {
    const { keys, responded } = this.opened(response, peer)
    this.complete = makeComplete(this.context, keys, responded, response.proof, proof)
    return this.complete
  }

  /** What the pair shares after the last Complete. */
  pairKey(joiner: PeerId): Uint8Array {
    const response = this.heard.findLast((message) => message.type === 'Response')
    if (response === undefined || this.complete === undefined) throw new Error('there is no pairing yet')
    const { keys, responded } = this.opened(response, joiner)
    const { suite } = this.context
    const completed = transcript.complete(suite, responded, response.proof, this.complete.sealed)
    return derivePairKey(suite, keys, completed)
  }

  /** What an honest initiator without a person answers. */
  honest(message: PairingMessage, peer: PeerId): PairingMessage | null {
    if (message.type === 'PairingRequest') return this.challenge(message, peer)
    if (message.type === 'Response') return this.complete ?? this.completeOf(message, peer)
    return message.type === 'Confirmed' ? { type: 'Acknowledged' } : null
  }
}
