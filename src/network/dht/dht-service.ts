import {
  kadDHT,
  passthroughMapper,
  removePrivateAddressesMapper,
  type KadDHT,
  type KadDHTComponents,
} from '@libp2p/kad-dht'
import { ipnsSelector } from 'ipns/selector'
import { ipnsValidator } from 'ipns/validator'
import type { PeerInfo } from '@libp2p/interface'
import type { Clock } from '../../api.ts'
import { maxRecordLength } from '../../pairing/address-record.ts'
import { limitAnswer, limitQuestions } from './answer-limit.ts'
import { privateDhtProtocol, publicDhtProtocol } from './dht-protocols.ts'
import type { Members } from './members.ts'
import { storeOfMembers } from './members-store.ts'
import { limitNamedPeers, NamedPeers, usableAddresses } from './named-peers.ts'
import { RecordStore, servedConnection } from './record-store.ts'
import type { RecordLimits } from './store-quota.ts'

interface CommonOptions {
  /** A client asks and publishes, a server also stores and answers. */
  mode: 'client' | 'server'
  clock: Clock
  /** Limits of a server's record store. */
  limits?: RecordLimits
}

export interface PrivateDhtOptions extends CommonOptions {
  network: 'private'
  members: Members
}

export interface PublicDhtOptions extends CommonOptions {
  network: 'public'
  /** Whether peers at addresses of private networks count. @default false */
  privateAddresses?: boolean
}

export type DhtServiceOptions = PrivateDhtOptions | PublicDhtOptions

/**
 * Kademlia as a libp2p service, for address records only. Next to it, the host needs the services identify and
 * ping. A network of two is enough for it.
 */
export function dhtService(options: DhtServiceOptions): (components: KadDHTComponents) => KadDHT {
  const { mode, network, clock, limits } = options
  const members = options.network === 'private' ? options.members : null
  const protocol = network === 'private' ? privateDhtProtocol : publicDhtProtocol
  const create = kadDHT({
    protocol,
    clientMode: mode === 'client',
    peerInfoMapper: peersOf(options),
    validators: { ipns: validateRecord },
    selectors: { ipns: ipnsSelector },
    // Alone, a query ends at once instead of never.
    allowQueryWithZeroPeers: true,
    initialQuerySelfInterval: 500,
    alpha: parallelRequests,
    disjointPaths,
    // A node that does not answer must not hold up a query.
    networkDialTimeout: { minTimeout: 2_000, maxTimeout: 6_000 },
  })
  return (components) => {
    const store = new RecordStore(clock, limits)
    const dht = create(
      new Proxy(components, {
        get(target, name) {
          if (name === 'datastore') return store
          if (name === 'registrar') return rememberingRegistrar(target.registrar)
          if (name === 'connectionManager') return limitingAnswers(target.connectionManager)
          if (name === 'peerStore' && members !== null) return storeOfMembers(target.peerStore, members)
          return Reflect.get(target, name)
        },
      }),
    )
    const { connectionManager } = components
    limitNamedPeers(dht, {
      named: new NamedPeers(clock, namedPeers[network]),
      members,
      isConnected: (peer) => connectionManager.getConnections(peer).length > 0,
      usable: (addresses, answerer) => {
        const seenAt = connectionManager.getConnections(answerer)[0]?.remoteAddr
        return seenAt === undefined ? [] : usableAddresses(addresses, seenAt)
      },
    })
    return dht
  }
}

/** Returns a peer without addresses if it must not enter the routing table, which is how kad-dht leaves one out. */
function peersOf(options: DhtServiceOptions): (peer: PeerInfo) => PeerInfo {
  if (options.network === 'public')
    return options.privateAddresses === true ? passthroughMapper : removePrivateAddressesMapper
  return (peer) => (options.members.has(peer.id.toString()) ? peer : { ...peer, multiaddrs: [] })
}

/** Limits of unproven peers, wider on the public network: many honest nodes there name peers that cannot be reached. */
const namedPeers = {
  private: { perAnswerer: 8, inAll: 16 },
  public: { perAnswerer: 20, inAll: 200 },
}
/** Size of a record, and twenty peers with a hundred addresses each. */
const maxAnswerBytes = 131_072
/** Kademlia's alpha, for each of the paths. */
const parallelRequests = 3
/** Paths that share no node, so that a few hostile nodes do not end a lookup. */
const disjointPaths = 3

/** Refuses an oversized record before it is parsed. */
export async function validateRecord(key: Uint8Array, value: Uint8Array): Promise<void> {
  if (value.length > maxRecordLength) throw new Error('the record is too large')
  await ipnsValidator(key, value)
}

/** Some thirty records, or hundreds of lookups, on one stream; whoever has more to ask opens another. */
const maxQuestionBytes = 65_536

type ConnectionManager = KadDHTComponents['connectionManager']

/** Limits the answer on every stream that the DHT opens. */
function limitingAnswers(connectionManager: ConnectionManager): ConnectionManager {
  const openStream: ConnectionManager['openStream'] = async (...args) => {
    const stream = await connectionManager.openStream(...args)
    limitAnswer(stream, maxAnswerBytes)
    return stream
  }
  return new Proxy(connectionManager, {
    get(target, name) {
      if (name === 'openStream') return openStream
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

type Registrar = KadDHTComponents['registrar']

/** Lets the record store see whose request is being handled. */
function rememberingRegistrar(registrar: Registrar): Registrar {
  return new Proxy(registrar, {
    get(target, name) {
      if (name === 'handle') {
        const handle: Registrar['handle'] = (protocol, handler, options) =>
          target.handle(
            protocol,
            (stream, connection) => {
              limitQuestions(stream, maxQuestionBytes)
              return servedConnection.run(connection, () => handler(stream, connection))
            },
            options,
          )
        return handle
      }
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}
