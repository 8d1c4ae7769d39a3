import { base64urlnopad } from '@scure/base'
import * as v from 'valibot'
import type { Log, Protocol } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import type { Sessions } from '../network/session/session.ts'
import { UnknownProtocolError } from '../protocol-error.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { OthersPresence } from '../pairing/presence-chain.ts'
import { peerOf } from '../libp2p-peer.ts'

/** Presence keys of a pair, as far as they are told and taken. */
export interface ToldPresence {
  /** Returns what the other device is to be told; durable on return. */
  told(peer: PeerId): OthersPresence
  /** Takes what it has told; whether that changed anything. Durable on return. Error: `remote-failure` when it tells too often. */
  take(peer: PeerId, others: OthersPresence): boolean
  /** Takes the news that it knows no such keys; whether that changed anything. */
  cannotTell(peer: PeerId): boolean
}

export interface PresenceExchangeParts {
  chains: ToldPresence
  sessions: Sessions
  /** Called when a device's keys have changed. */
  onChanged: (peer: PeerId) => void
  log: Log
}

const bytesSchema = v.pipe(v.string(), v.regex(/^[\w-]{43}$/u))
const messageSchema = v.object({
  epoch: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  key: bytesSchema,
  publicKey: bytesSchema,
})

type Message = v.InferOutput<typeof messageSchema>

/**
 * Tells the other device, at the start of every session, by which keys this one's records are found. They are random, so nothing
 * that either of the two keeps leads to them, and a session is encrypted with keys that are gone when it ends. PROTOCOL.md,
 * "Presence".
 */
export class PresenceExchange {
  readonly #parts: PresenceExchangeParts

  constructor(parts: PresenceExchangeParts) {
    this.#parts = parts
  }

  get protocol(): Protocol<Message, Message> {
    return {
      name: 'spacedock-presence',
      version: 1,
      request: messageSchema,
      response: messageSchema,
      handler: (message, { device }) => {
        const peer = peerOf(device)
        const { chains } = this.#parts
        const told = encode(chains.told(peer))
        this.#take(peer, message)
        return told
      },
    }
  }

  /** Tells it in a new session, and hears it: both sides do, since the other one may not know how. Never rejects. */
  async connected(peer: PeerId): Promise<void> {
    const { sessions, chains, log } = this.#parts
    const session = sessions.sessionOf(peer)
    if (session === undefined) return
    const { name, version } = this.protocol
    try {
      const value = encode(chains.told(peer))
      const answer = await session.request({ name, version, value }, { signal: session.forsaken })
      const message = v.safeParse(messageSchema, answer)
      if (message.success) this.#take(peer, message.output)
    } catch (error) {
      // A session that breaks has a successor.
      if (error instanceof UnknownProtocolError && chains.cannotTell(peer)) this.#parts.onChanged(peer)
      log('debug', 'presence.not-told', {
        peer,
        code: error instanceof SpacedockError ? error.code : 'internal',
      })
    }
  }

  #take(peer: PeerId, message: Message): void {
    const { chains, onChanged, log } = this.#parts
    const others = decode(message)
    if (others === null) return log('warn', 'presence.no-key', { peer })
    if (chains.take(peer, others)) onChanged(peer)
  }
}

function encode({ epoch, key, publicKey }: OthersPresence): Message {
  return { epoch, key: text(key), publicKey: text(publicKey) }
}

function decode({ epoch, key, publicKey }: Message): OthersPresence | null {
  try {
    const others = {
      epoch,
      key: base64urlnopad.decode(key),
      publicKey: base64urlnopad.decode(publicKey),
    }
    return others
  } catch {
    return null
  }
}

function text(bytes: Uint8Array): string {
  return base64urlnopad.encode(Uint8Array.from(bytes))
}
