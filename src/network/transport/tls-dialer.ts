import { addAbortListener } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Multiaddr } from '@multiformats/multiaddr'
import { abortReason } from '../../abort.ts'
import type { Clock, Log } from '../../api.ts'
import type { PeerId } from '../../pairing/peer-id.ts'
import { raceAddresses, type PlainDial } from './address-race.ts'
import { TlsConnection, type SessionConnection } from './tls-connection.ts'
import { canSpeakTls, secureAsDialer } from './tls-handshake.ts'
import type { TlsSecrets } from './tls-secrets.ts'

/** Opens a TCP connection. Rejects with the system's error, which says what is in the way, or the signal's reason. */
export type OpenSocket = (place: TcpPlace, signal: AbortSignal) => Promise<Socket | Duplex>

export interface TlsDialerOptions {
  secrets: TlsSecrets
  /** @default by `node:net` */
  openSocket?: OpenSocket | undefined
  clock: Clock
  log: Log
}

/** Time for which a device that has refused TLS is not asked again: so long is a person's wait for nothing shorter by a round trip. */
const refusedMs = 10 * 60_000
/** Time after which Noise is tried beside a handshake that does not end: many round trips of a slow link. */
const patienceMs = 2_000
/** The same, with a device with which it has not ended before: somebody on the way drops what he does not know. */
const hurriedMs = 300

/**
 * Dialling side of TLS: tries it at each address, and Noise where it is refused or hangs, at once: an older device closes the
 * connection at the first bytes, and one that does not know the pair key, which has to say so over Noise, at the hello. Who blocks
 * TLS on the way gains that the session runs over Noise: no more than before.
 */
export class TlsDialer {
  readonly #options: TlsDialerOptions
  /** Devices that have refused it, with the key that it was tried with; one entry a paired device. */
  readonly #refused = new Map<PeerId, { key: Uint8Array; untilMs: number }>()
  /** Devices that speak it: if it does not work, something is in between. */
  readonly #speakers = new Set<PeerId>()
  /** Devices with which the last handshake did not end in time; one entry a paired device. */
  readonly #hung = new Set<PeerId>()

  constructor(options: TlsDialerOptions) {
    this.#options = options
  }

  /** Notes that this device says that it speaks TLS. */
  speaks(peer: PeerId): void {
    this.#speakers.add(peer)
    this.#refused.delete(peer)
  }

  /** Whether it is worth a try with this device. */
  async mayTry(peer: PeerId): Promise<boolean> {
    const secret = this.#options.secrets.toDial(peer)
    return secret !== null && !this.#hasRefused(peer, secret.key) && canSpeakTls()
  }

  /** Dials one address. Rejects with the error of the TCP connection, or what `plain` rejects with. */
  async dial(
    peer: PeerId,
    address: Multiaddr,
    plain: PlainDial,
    { signal }: { signal: AbortSignal },
  ): Promise<SessionConnection> {
    const place = tcpPlace(address)
    const secret = place === null ? null : this.#options.secrets.toDial(peer)
    if (place === null || secret === null || this.#hasRefused(peer, secret.key) || !(await canSpeakTls()))
      return plain({ signal })
    const { openSocket = connectTcp } = this.#options
    const raw = await openSocket(place, signal)
    if (signal.aborted) raw.destroy()
    const tls = async (options: { signal: AbortSignal }): Promise<SessionConnection> => {
      const socket = await secureAsDialer(raw, secret, options)
      this.speaks(peer)
      this.#hung.delete(peer)
      return new TlsConnection({ socket, remotePeer: peer, remoteAddr: address, direction: 'outbound' })
    }
    return this.#firstOf(peer, secret.key, { tls, plain }, signal)
  }

  /** Tries TLS, then Noise. */
  async #firstOf(
    peer: PeerId,
    key: Uint8Array,
    ways: { tls: (options: { signal: AbortSignal }) => Promise<SessionConnection>; plain: PlainDial },
    signal: AbortSignal,
  ): Promise<SessionConnection> {
    const { clock, log } = this.#options
    let refusal: Error | undefined
    let failure: unknown
    const dial = (way: 'tls' | 'plain', options: { signal: AbortSignal }): Promise<SessionConnection> =>
      ways[way](options).catch((error: unknown) => {
        if (way === 'plain') failure = error
        else if (!options.signal.aborted) refusal = error instanceof Error ? error : new Error('no TLS')
        throw error
      })
    const race = raceAddresses(['tls', 'plain'] as const, dial, {
      signal,
      clock,
      headStartMs: this.#hung.has(peer) ? hurriedMs : patienceMs,
    })
    const winner = await race.catch((error: unknown) => {
      // What became of the dial by libp2p says more of the device than that it did not like a hello.
      throw signal.aborted ? error : (failure ?? error)
    })
    if (winner instanceof TlsConnection) return winner
    if (refusal === undefined) this.#hung.add(peer)
    const isKnown = this.#speakers.has(peer)
    log(isKnown ? 'info' : 'debug', 'tls.not-spoken', { peer, error: refusal?.message ?? 'it took too long' })
    if (refusal !== undefined && !isKnown)
      this.#refused.set(peer, { key, untilMs: clock.monotonic() + refusedMs })
    return winner
  }

  #hasRefused(peer: PeerId, key: Uint8Array): boolean {
    const refused = this.#refused.get(peer)
    if (refused === undefined) return false
    if (Buffer.compare(refused.key, key) === 0 && this.#options.clock.monotonic() < refused.untilMs)
      return true
    this.#refused.delete(peer)
    return false
  }
}

export interface TcpPlace {
  host: string
  port: number
}

/** Returns the place of an address that is nothing but an IP address and a TCP port; null for any other. */
export function tcpPlace(address: Multiaddr): TcpPlace | null {
  const parts = address.getComponents().filter(({ name }) => name !== 'p2p')
  const zone = parts[0]?.name === 'ip6zone' ? `%${parts.shift()?.value}` : ''
  const [ip, tcp, ...more] = parts
  if (more.length > 0 || tcp?.name !== 'tcp' || ip?.value === undefined) return null
  if (ip.name !== 'ip4' && ip.name !== 'ip6') return null
  return { host: `${ip.value}${zone}`, port: Number(tcp.value) }
}

function connectTcp(place: TcpPlace, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortReason(signal))
    const socket = connect({ ...place, noDelay: true, keepAlive: true })
    const settle = (finish: () => void): void => {
      listening[Symbol.dispose]()
      socket.removeAllListeners()
      // From here to the handshake, and should it be called off.
      socket.on('error', () => {})
      finish()
    }
    const listening = addAbortListener(signal, () => {
      settle(() => reject(abortReason(signal)))
      socket.destroy()
    })
    socket.once('error', (error) => settle(() => reject(error)))
    socket.once('connect', () => settle(() => resolve(socket)))
    return undefined
  })
}
