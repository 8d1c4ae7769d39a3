import type { HandshakeContext } from '../../src/pairing/machine.ts'
import type { MessageOf, PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { contextOf, joiner, keysOf, makeRequest, makeResponse, type Forgery } from './by-hand.ts'
import type { RawPeer } from './raw-peer.ts'
import { addressOf, type Reachable, type Scene } from './scene.ts'
import { asPeer } from '../peers.ts'

/** Somebody who holds the words and joins a real node step by step, from a libp2p host of its own. */
export class HandJoiner {
  readonly raw: RawPeer
  readonly context: HandshakeContext
  readonly address: string
  readonly initiatorPeer: string
  candidate: joiner.Candidate
  exchange: joiner.Exchange | undefined

  private constructor(raw: RawPeer, context: HandshakeContext, node: Reachable) {
    this.raw = raw
    this.context = context
    this.address = addressOf(node)
    this.initiatorPeer = node.peerId
    this.candidate = makeRequest(context, asPeer(node.peerId))
  }

  static async start(scene: Scene, node: Reachable, words: string, name = 'mallory'): Promise<HandJoiner> {
    const raw = await scene.rawPeer()
    return new HandJoiner(raw, contextOf(keysOf(words), raw.peerId, name), node)
  }

  /** A new commitment for the next request. */
  renew(opening?: { nonce: Uint8Array; secret: Uint8Array }): void {
    this.candidate = makeRequest(this.context, asPeer(this.initiatorPeer), opening)
  }

  send(message: PairingMessage | Uint8Array): Promise<PairingMessage | null> {
    return this.raw.ask(this.address, message)
  }

  request(): Promise<PairingMessage | null> {
    return this.send(this.candidate.request)
  }

  async challenge(): Promise<MessageOf<'Challenge'>> {
    return expectType(await this.request(), 'Challenge')
  }

  respond(challenge: MessageOf<'Challenge'>, forgery: Forgery = {}): Promise<PairingMessage | null> {
    this.exchange = makeResponse(this.context, this.candidate, challenge, forgery)
    return this.respondAgain()
  }

  respondAgain(): Promise<PairingMessage | null> {
    if (this.exchange === undefined) throw new Error('no Challenge was answered yet')
    return this.send(this.exchange.response)
  }

  /** Until there is a decision. */
  async awaitComplete(
    challenge: MessageOf<'Challenge'>,
    forgery: Forgery = {},
  ): Promise<PairingMessage | null> {
    let answer = await this.respond(challenge, forgery)
    while (answer?.type === 'Waiting') answer = await this.respondAgain()
    return answer
  }

  agree(complete: PairingMessage | null): joiner.Agreement {
    if (this.exchange === undefined) throw new Error('no Challenge was answered yet')
    const agreement = joiner.verifyComplete(this.context, this.exchange, expectType(complete, 'Complete'))
    if (agreement === null) throw new Error('the Complete is not authentic')
    return agreement
  }

  confirm({ pair: { acknowledgement } }: joiner.Agreement): Promise<PairingMessage | null> {
    return this.send({ type: 'Confirmed', acknowledgement })
  }

  /** All of it; what the pair then shares. */
  async pair(forgery: Forgery = {}): Promise<joiner.Agreement> {
    const agreement = this.agree(await this.awaitComplete(await this.challenge(), forgery))
    expectType(await this.confirm(agreement), 'Acknowledged')
    return agreement
  }
}

export function expectType<Type extends PairingMessage['type']>(
  message: PairingMessage | null,
  type: Type,
): MessageOf<Type> {
  if (message?.type === type) return message as MessageOf<Type>
  throw new Error(`expected ${type}, got ${message?.type ?? 'silence'}`)
}
