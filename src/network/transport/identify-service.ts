import { AsyncLocalStorage } from 'node:async_hooks'
import { identify, type Identify, type IdentifyComponents } from '@libp2p/identify'
import type { Connection, Peer, PeerId } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../api.ts'
import { peerIdOf } from '../../libp2p-peer.ts'
import { classOfAddress } from '../addresses/address-class.ts'
import { addressesFor } from '../addresses/told-addresses.ts'
import type { KnownPeers } from '../known-peers.ts'
import { TokenBucket } from '../token-bucket.ts'

export interface IdentifyOptions {
  /** Own addresses, best first. */
  own: () => Multiaddr[]
  /** Peers of which a paired one learns all protocols, and every address of use on another machine, wherever it is seen. */
  peers: Pick<KnownPeers, 'isPaired'>
  /** Which protocols a stranger learns of; `everything`: what a server for everybody tells. */
  strangersLearn: 'everything' | ((protocol: string) => boolean)
  /** Pace at which inbound strangers are asked who they are: each may answer with 80 KiB. */
  pace: { everyMs: number; inARow: number }
  clock: Clock
}

/** Bounds of what is taken over from an answer: more than any program tells of itself. */
const maxAddresses = 16
const maxAddressBytes = 256
const maxProtocols = 64
const maxProtocolLength = 128
/** Number of peers that are not connected any more of which the answers are kept. */
const maxDisconnected = 256
/** Answers to one connection of a stranger: sixteen in a row, and one every ten seconds on average. */
const answerPace = { everyMs: 10_000, inARow: 16 }

/**
 * Identify service that tells each peer what that peer may know; libp2p's tells all the same. What others tell is cut to size before
 * it is parsed, and forgotten when many have come after them.
 */
export function identifyService(options: IdentifyOptions): (components: IdentifyComponents) => Identify {
  const asker = new AsyncLocalStorage<Connection>()
  const create = identify({ runOnConnectionOpen: false })
  return (components) => {
    const answers = new OwnAnswers(options, asker)
    const { registrar, addressManager, peerStore } = components
    const service = create(
      withMembers(components, {
        // Observed addresses are judged elsewhere: libp2p would demote a relayed address that is reported again to unverified.
        addressManager: withMembers(addressManager, {
          getAddresses: () => answers.addresses(),
          addObservedAddr: () => {},
        }),
        registrar: withMembers(registrar, {
          handle: (protocol, handler, more) =>
            registrar.handle(
              protocol,
              (stream, connection) => {
                if (answers.mayAsk(connection))
                  return asker.run(connection, () => handler(stream, connection))
                stream.abort(new Error('asked too often'))
                return undefined
              },
              more,
            ),
        } satisfies Partial<Registrar>),
        peerStore: withMembers(peerStore, {
          get: async (peer, more) => answers.filtered(await peerStore.get(peer, more)),
        }),
      }),
    )
    cutToSize(service)
    askNewcomers(service, components, options)
    forgetTheGone(components)
    return service
  }
}

/** What this host says of itself, to whoever asks just now. */
class OwnAnswers {
  readonly #options: IdentifyOptions
  readonly #asker: AsyncLocalStorage<Connection>
  readonly #paces = new WeakMap<Connection, TokenBucket>()

  constructor(options: IdentifyOptions, asker: AsyncLocalStorage<Connection>) {
    this.#options = options
    this.#asker = asker
  }

  mayAsk(connection: Connection): boolean {
    const { peers, clock } = this.#options
    if (peers.isPaired(peerIdOf(connection.remotePeer))) return true
    const pace = this.#paces.get(connection) ?? new TokenBucket(answerPace)
    this.#paces.set(connection, pace)
    return pace.take(clock.monotonic())
  }

  addresses(): Multiaddr[] {
    const { own, peers, strangersLearn } = this.#options
    const connection = this.#asker.getStore()
    if (connection === undefined) return addressesFor(own(), null)
    const seenAt = classOfAddress(connection.remoteAddr)
    if (peers.isPaired(peerIdOf(connection.remotePeer)))
      return addressesFor(own(), seenAt === 'loopback' ? seenAt : 'link-local')
    return strangersLearn === 'everything' ? addressesFor(own(), seenAt) : []
  }

  /** Returns what the peer store has, of this host itself only as far as the asker may know it. */
  filtered(peer: Peer): Peer {
    const { peers, strangersLearn } = this.#options
    const connection = this.#asker.getStore()
    if (connection === undefined || strangersLearn === 'everything') return peer
    if (peers.isPaired(peerIdOf(connection.remotePeer))) return peer
    const { peerRecordEnvelope: _, ...rest } = peer
    return { ...rest, protocols: peer.protocols.filter(strangersLearn) }
  }
}

/** Answer of another host, as libp2p decodes it. */
interface IdentifyAnswer {
  listenAddrs: Uint8Array[]
  protocols: string[]
  observedAddr?: Uint8Array | undefined
  signedPeerRecord?: Uint8Array | undefined
}

/** Method of libp2p's identify service that reads an answer; its public type leaves it out. */
interface Reader {
  _identify(...args: unknown[]): Promise<IdentifyAnswer>
}

/** Cuts answers to size before anything in them is parsed. Signed records are not used here, and cost a signature each. */
function cutToSize(service: object): void {
  if (!('_identify' in service))
    throw new TypeError('an identify service of libp2p that reads in another way')
  const reader = service as Reader
  const read = reader._identify.bind(service)
  reader._identify = async (...args) => {
    const { signedPeerRecord: _, observedAddr, ...answer } = await read(...args)
    return {
      ...answer,
      ...(observedAddr !== undefined && observedAddr.length <= maxAddressBytes ? { observedAddr } : {}),
      listenAddrs: answer.listenAddrs
        .filter(({ length }) => length <= maxAddressBytes)
        .slice(0, maxAddresses),
      protocols: answer.protocols.filter(({ length }) => length <= maxProtocolLength).slice(0, maxProtocols),
    }
  }
}

/** Asks whom this host has dialled, and whom it trusts, at once; strangers that come in at a pace, and others not at all. */
function askNewcomers(
  service: Identify,
  { events }: IdentifyComponents,
  { peers, pace, clock }: IdentifyOptions,
): void {
  const strangers = new TokenBucket(pace)
  events.addEventListener('connection:open', ({ detail: connection }) => {
    const isStranger = connection.direction === 'inbound' && !peers.isPaired(peerIdOf(connection.remotePeer))
    if (isStranger && !strangers.take(clock.monotonic())) return
    service.identify(connection).catch(() => {})
  })
}

/** Gives back what is known of peers that are gone, those for longest first. */
function forgetTheGone({ events, peerStore }: IdentifyComponents): void {
  const gone = new Map<string, PeerId>()
  events.addEventListener('peer:connect', ({ detail }) => gone.delete(detail.toString()))
  events.addEventListener('peer:disconnect', ({ detail }) => {
    gone.set(detail.toString(), detail)
    const [oldest] = gone
    if (gone.size <= maxDisconnected || oldest === undefined) return
    gone.delete(oldest[0])
    peerStore.delete(oldest[1]).catch(() => {})
  })
}

function withMembers<Service extends object>(service: Service, replaced: Partial<Service>): Service {
  return new Proxy(service, {
    get(target, name) {
      if (name in replaced) return Reflect.get(replaced, name)
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}
