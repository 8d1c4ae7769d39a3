import type { Connection, PeerId, Stream } from '@libp2p/interface'
import { base64urlnopad } from '@scure/base'
import * as v from 'valibot'
import type { Clock } from '../../api.ts'
import { sameMac } from '../../pairing/proofs.ts'
import { relayAccessProof } from '../../pairing/relay-access.ts'
import { suite1 } from '../../pairing/suite.ts'
import { decodeJson, encodeJson } from '../json-text.ts'
import { request, serve } from '../request-response.ts'

export const relayAccessProtocol = '/spacedock/relay-access/1.0.0'

/** Who gets a place at a relay: anybody, holders of a secret of 16 bytes, or peers in a list (peer ids, base58btc). */
export type RelayAdmission =
  { kind: 'open' } | { kind: 'secret'; secret: Uint8Array } | { kind: 'only'; peers: ReadonlySet<string> }

/** Admits devices to a relay's places. PROTOCOL.md, 'Places at a relay'. */
export class RelayAccess {
  readonly #admission: RelayAdmission
  readonly #self: PeerId
  readonly #clock: Clock
  /** Peers that have proved the secret, for as long as they are connected. */
  readonly #proved = new Set<string>()

  constructor(admission: RelayAdmission, self: PeerId, clock: Clock) {
    this.#admission = admission
    this.#self = self
    this.#clock = clock
  }

  /** Whether the relay is this peer's, too: its operator knows it. */
  isOwn(peer: string): boolean {
    return this.#admission.kind === 'only' ? this.#admission.peers.has(peer) : this.#proved.has(peer)
  }

  admits(peer: string): boolean {
    return this.#admission.kind === 'open' || this.isOwn(peer)
  }

  disconnected(peer: string): void {
    this.#proved.delete(peer)
  }

  /** Handles a proof; whatever is no proof at all gets silence. Never rejects. */
  readonly handle = async (stream: Stream, connection: Connection): Promise<void> => {
    await serve(stream, { maxBytes: maxMessageBytes, clock: this.#clock }, async (question) => {
      const proof = parseProof(question)
      if (proof === null) return null
      const peer = connection.remotePeer.toString()
      const granted = this.admits(peer) || this.#isRight(proof, peer)
      if (granted && this.#admission.kind === 'secret' && connection.status === 'open') this.#proved.add(peer)
      return encodeJson({ granted })
    })
  }

  #isRight(proof: Uint8Array, peer: string): boolean {
    if (this.#admission.kind !== 'secret') return false
    return sameMac(proof, relayAccessProof(suite1, this.#admission.secret, this.#self.toString(), peer))
  }
}

export interface ProveOptions {
  /** 16 bytes. */
  secret: Uint8Array
  /** Peer id of this device. */
  self: PeerId
  signal: AbortSignal
  clock: Clock
}

/** Proves the secret to the relay at the other end; resolves with whether it grants a place. Rejects when there is no answer. */
export async function proveAccess(
  connection: Connection,
  { secret, self, signal, clock }: ProveOptions,
): Promise<boolean> {
  const proof = relayAccessProof(suite1, secret, connection.remotePeer.toString(), self.toString())
  const stream = await connection.newStream(relayAccessProtocol, { signal })
  const question = encodeJson({ proof: base64urlnopad.encode(Uint8Array.from(proof)) })
  const answer = await request(stream, question, {
    maxBytes: maxMessageBytes,
    timeoutMs: answerTimeoutMs,
    signal,
    clock,
  })
  return v.parse(answerSchema, decodeJson(answer)).granted
}

/** Returns the 32 bytes of a proof; null for what is no question of this protocol. */
export function parseProof(bytes: Uint8Array): Uint8Array | null {
  try {
    const proof = base64urlnopad.decode(v.parse(questionSchema, decodeJson(bytes)).proof)
    return proof.length === proofLength ? proof : null
  } catch {
    return null
  }
}

const proofLength = 32
const maxMessageBytes = 256
const answerTimeoutMs = 10_000
const questionSchema = v.object({ proof: v.string() })
const answerSchema = v.object({ granted: v.boolean() })
