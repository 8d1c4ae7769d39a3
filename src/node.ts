import { randomBytes } from 'node:crypto'
import type { Connection, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { TypedEventEmitter } from 'main-event'
import type { NodeEvents, NodeOptions, SpacedockNode } from './api.ts'
import { systemClock } from './clock.ts'
import { SpacedockError } from './errors.ts'
import { ConnectionSupervisor } from './network/supervisor/connection-supervisor.ts'
import { failureCauses } from './network/supervisor/failures.ts'
import { DirectPaths } from './network/relay/direct-paths.ts'
import { LocalNetwork } from './network/discovery/local-network.ts'
import { createHost, type Host } from './network/host.ts'
import { watchInterfaces } from './network/interfaces.ts'
import { ProtocolRegistry } from './network/protocol-registry.ts'
import { isRelayedConnection } from './network/relayed-address.ts'
import { refuseUnknownDevice } from './network/session/session-handshake.ts'
import {
  acceptSession,
  openSession,
  sessionProtocol,
  type SessionOptions,
} from './network/session/session.ts'
import { suite1 } from './pairing/suite.ts'
import { MessagingService } from './protocols/messaging.ts'
import { pairingProtocol, PairingService } from './protocols/pairing.ts'
import { announceChange, announceUpdate, type Emit } from './node/device-events.ts'
import { Devices } from './node/devices.ts'
import { Internet, internetSettings, ownDht, relayOptions, type InternetSettings } from './node/internet.ts'
import { chooseName, choosePort } from './node/own-settings.ts'
import { join, pair, type PairingsParts } from './node/pairings.ts'
import { TrustedPeers } from './node/trusted-peers.ts'
import { deviceIdOf } from './store/device-id.ts'
import { takeTurns } from './store/take-turns.ts'
import { openStore, type Store } from './store/store.ts'
import { version } from './version.ts'

/**
 * The composition root: what a node is made of, and the one place where connection, discovery and protocol events
 * become the typed events of the application. Start reading here.
 *
 * Rejects with a SpacedockError: `directory-unusable`, `already-running`, `identity-damaged`, `database-damaged`,
 * `database-newer`, `disk-full`, `port-taken`, `no-network`, `invalid-argument`.
 */
export async function createNode(options: NodeOptions): Promise<SpacedockNode> {
  const clock = options.clock ?? systemClock
  const store = openStore({ dataDir: options.dataDir, clock })
  try {
    return await startNode(options, store)
  } catch (error) {
    store.close()
    throw error
  }
}

async function startNode(options: NodeOptions, store: Store): Promise<SpacedockNode> {
  const { clock = systemClock, log = () => {}, interfaces } = options
  chooseName(store.settings, options.name)
  const settings = internetSettings(options)
  const port = await choosePort(store.settings, options.port, log)
  const host = await createHost({
    seed: store.identity.seed,
    port,
    interfaces,
    agent: `spacedock/${version}`,
    dht: ownDht(settings, clock),
    relay: relayOptions(options, (peer) => hasPairKey(store, peer)),
  })
  try {
    const node = await assemble({ ...options, clock, log }, store, host, settings)
    log('info', 'node.started', { peerId: host.peerId, port })
    return node
  } catch (error) {
    await host.stop()
    throw error
  }
}

type NodeParts = NodeOptions & Required<Pick<NodeOptions, 'clock' | 'log'>>

async function assemble(
  options: NodeParts,
  store: Store,
  host: Host,
  settings: InternetSettings | null,
): Promise<SpacedockNode> {
  const { clock, log, interfaces } = options
  const events = new TypedEventEmitter<EventMap>()
  const emit: Emit = (type, detail) => void events.safeDispatchEvent(type, { detail })
  let closing: Promise<void> | undefined

  const trusted = new TrustedPeers(store, clock, log, (peer) => {
    supervisor.connectNow(peerIdFromString(peer))
    const device = store.registry.get(peer)
    if (device !== undefined) emit('device:paired', device)
  })
  store.registry.onChange((before, device) => announceChange(before, device, emit))
  store.registry.onUpdate((what, device) => announceUpdate(what, device, emit))

  const localNetwork = new LocalNetwork({
    peerId: host.peerId,
    listening: () => host.listening(),
    interfaces,
    log,
    onSighting: (peer, addresses) => {
      store.registry.sighted(peer, addresses)
      supervisor.sighting(peerIdFromString(peer))
      directPaths.hurry(peerIdFromString(peer))
    },
    onLost: (peer) => store.registry.lost(peer),
  })

  const protocols = new ProtocolRegistry({
    host: host.libp2p,
    isPaired: (peer) => hasPairKey(store, peer),
    deviceOf: (peer) => devices.trusted(peer.toString()),
    log,
    clock,
  })

  const session: SessionOptions = {
    localPeer: host.libp2p.peerId,
    instance: randomBytes(16),
    keysOf: (peer) => trusted.keysOf(peer.toString()),
    onProved: (peer, { slot }) => {
      const acknowledgement = trusted.proved(peer.toString(), slot)
      if (acknowledgement !== null) pairing.confirmedBySession(peer.toString(), acknowledgement)
    },
    dispatch: (name, version, value, context) => protocols.dispatch(name, version, value, context),
    onRoundTrip: ({ remotePeer, id }, roundTripMs) => {
      const inUse = supervisor.sessionOf(remotePeer)?.connection.id
      if (inUse === id) store.registry.measured(remotePeer.toString(), roundTripMs)
    },
    clock,
  }

  const supervisor = new ConnectionSupervisor({
    localPeer: host.libp2p.peerId,
    devices: () => trusted.wanted().map((peer) => peerIdFromString(peer)),
    isDevice: (peer) => trusted.isWanted(peer.toString()),
    addressesOf: (peer) => addressesOf(peer.toString()).map((address) => multiaddr(address)),
    connectionsTo: (peer) => host.libp2p.getConnections(peer),
    dial: (peer, addresses, { signal }) => host.connect(peer.toString(), addresses, { signal }),
    openSession: (connection, { signal }) => openSession(connection, { ...session, signal }),
    onSession: (started) => {
      const { remotePeer, connection } = started
      const address = connection.remoteAddr.toString()
      log('info', 'session.started', { peer: remotePeer.toString(), address })
      store.registry.connected(remotePeer.toString(), {
        path: isRelayedConnection(connection) ? 'relayed' : 'direct',
        address,
      })
      void rememberAddress(connection)
      directPaths.sessionStarted(started)
      messaging.pump(remotePeer.toString())
    },
    onSessionEnded: (peer, { reason }, failure) => {
      log('info', 'session.ended', { peer: peer.toString(), reason })
      store.registry.disconnected(peer.toString(), failure)
      internet?.presence.look(peer.toString())
    },
    onAttemptFailed: (peer, failure) => {
      const { code, message } = failure
      log('debug', 'session.attempt-failed', {
        peer: peer.toString(),
        code,
        message,
        causes: failureCauses(failure),
      })
      store.registry.disconnected(peer.toString(), failure)
    },
    onUnknownDevice: (peer, failure) => {
      store.registry.disconnected(peer.toString(), failure)
      trusted.disowned(peer.toString())
    },
    onWake: () => lookAnew(),
    clock,
  })

  const directPaths = new DirectPaths({
    sessionOf: (peer) => supervisor.sessionOf(peer),
    connectionsTo: (peer) => host.libp2p.getConnections(peer),
    addressesOf: async (peer) => [
      ...addressesOf(peer.toString()).map((address) => multiaddr(address)),
      ...(await host.toldAddresses(peer)),
    ],
    dial: (peer, addresses, { signal }) => host.dial(peer.toString(), addresses, { signal }),
    openThroughNats: async (relayed, { signal }) => {
      if (host.simultaneousOpen === null) throw new Error('this host uses no relays')
      return host.simultaneousOpen.open(relayed, { signal })
    },
    isAsker: (peer) => host.peerId < peer.toString(),
    moveSession: (connection, { signal }) => supervisor.moveTo(connection, { signal }),
    clock,
    log,
  })
  host.onConnection((connection) => directPaths.connectionOpened(connection))

  const messaging = new MessagingService({
    inbox: store.inbox,
    outbox: store.outbox,
    clock,
    log,
    randomId: () => randomBytes(16).toString('base64url'),
    requestOf: (peer) => {
      const live = supervisor.sessionOf(peerIdFromString(peer))
      return live === undefined
        ? null
        : (value, { signal }) =>
            live.request(messaging.protocol.name, messaging.protocol.version, value, { signal })
    },
    nameOf: (peer) => ({ id: deviceIdOf(peer), name: store.registry.get(peer)?.name ?? deviceIdOf(peer) }),
    onMessage: (message) => emit('message', message),
    onDelivered: (delivered) => emit('message:delivered', { id: delivered.id, to: deviceIdOf(delivered.to) }),
  })

  const pairing = new PairingService({
    host,
    suite: suite1,
    clock,
    log,
    random: (length) => randomBytes(length),
    trust: trusted,
    deviceName: () => store.settings.get().name ?? '',
    addressesOf,
    idOf: deviceIdOf,
    release: (peer) => {
      if (trusted.keysOf(peer).length === 0) host.disconnect(peer)
    },
    onPairing: (peer, running) => store.registry.pairing(peer, running),
    onUnfinished: (peer) => supervisor.connectNow(peerIdFromString(peer)),
  })

  protocols.attach({
    protocol: pairingProtocol,
    access: 'strangers',
    handle: (stream, connection) => pairing.handle(stream, connection),
  })
  protocols.attach({
    protocol: sessionProtocol,
    access: 'paired',
    refuse: (stream) => refuseUnknownDevice(stream),
    handle: async (stream, connection, { signal }) => admit(stream, connection, signal),
  })
  protocols.register(messaging.protocol)

  const internet =
    settings === null
      ? null
      : new Internet({
          settings,
          host,
          interfaces,
          clock,
          log,
          devices: () => trusted.pairKeys(),
          isConnected: (peer) => supervisor.sessionOf(peerIdFromString(peer)) !== undefined,
          onFound: (peer) => {
            log('info', 'presence.found', { peer })
            supervisor.sighting(peerIdFromString(peer))
            directPaths.hurry(peerIdFromString(peer))
          },
        })
  const stopFollowing = store.trust.onChange(() => internet?.presence.devicesChanged())

  /** Where a device was last, where it is seen, and where it says that it is: by turns, so that no way waits for another. */
  function addressesOf(peer: string): string[] {
    return takeTurns(store.registry.addressesOf(peer), internet?.presence.addressesOf(peer) ?? [])
  }

  /** So that the device is found again, also when the first connection breaks before it has carried a session. */
  async function rememberAddress(connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString()
    if (trusted.keysOf(peer).length === 0) return
    const address = await host.dialableAddress(connection)
    if (address !== null && closing === undefined) store.registry.reachableAt(peer, address.toString())
  }
  store.trust.onChange((peer) => {
    const connections = host.libp2p.getConnections(peerIdFromString(peer))
    for (const connection of connections) void rememberAddress(connection)
  })
  host.onIdentified((connection) => void rememberAddress(connection))

  async function admit(stream: Stream, connection: Connection, signal: AbortSignal): Promise<void> {
    await supervisor.admit(await acceptSession(stream, connection, { ...session, signal }))
  }

  const devices = new Devices({
    store,
    clock,
    supervisor,
    messaging,
    onRenamed: (device) => emit('device:renamed', device),
  })
  const pairings: PairingsParts = {
    pairing,
    host,
    localNetwork: options.mdns === false ? null : localNetwork,
    internet,
    log,
    deviceOf: (peer) => devices.handle(peer),
    emit,
  }

  /** The network is another one, or the machine slept: whatever waits, and whoever may be here, is asked now. */
  const lookAnew = (): void => {
    host.networkChanged()
    directPaths.networkChanged()
    internet?.networkChanged()
    localNetwork.look()
  }
  const onNetworkChange = (): void => {
    log('info', 'network.changed')
    supervisor.networkChanged()
    lookAnew()
  }
  const stopWatching = watchInterfaces(onNetworkChange, { names: interfaces })
  const startedAtMs = clock.monotonic()
  // First of all: it turns nobody away who comes in while the others start.
  supervisor.start()
  if (options.mdns !== false) await localNetwork.start()
  internet?.start()

  async function shutDown(): Promise<void> {
    stopWatching()
    stopFollowing()
    await pairing.close()
    messaging.close()
    await directPaths.stop()
    await supervisor.stop()
    await Promise.allSettled([localNetwork.stop(), internet?.stop(), protocols.close()])
    await host.stop()
    trusted.close()
    store.close()
    log('info', 'node.closed')
  }

  const whileOpen = <Result>(run: () => Result): Result => {
    if (closing === undefined) return run()
    throw new SpacedockError('closed', 'The node was closed.', { hint: 'Make a new one with createNode().' })
  }
  const close = (): Promise<void> => (closing ??= shutDown())
  const ownName = (): string => store.settings.get().name ?? ''
  return {
    peerId: host.peerId,
    id: deviceIdOf(host.peerId),
    get name() {
      return ownName()
    },
    status: () => ({
      peerId: host.peerId,
      id: deviceIdOf(host.peerId),
      name: ownName(),
      listen: host.addresses().map(String),
      devices: devices.countPaired(),
      uptimeMs: Math.round(clock.monotonic() - startedAtMs),
    }),
    pair: async (pairOptions = {}) => whileOpen(() => pair(pairings, pairOptions)),
    join: async (code, joinOptions = {}) => whileOpen(() => join(pairings, code, joinOptions)),
    devices: () => whileOpen(() => devices.list()),
    device: (reference) => whileOpen(() => devices.find(reference)),
    rename: async (name) => whileOpen(() => chooseName(store.settings, name)),
    handle: (protocol) => whileOpen(() => protocols.register(protocol)),
    messages: ({ after = 0, signal } = {}) => messaging.messages(after, signal),
    inbox: ({ after = 0 } = {}) => whileOpen(() => messaging.inboxMessages(after)),
    outbox: () => whileOpen(() => messaging.outboxMessages()),
    addEventListener: (type, listener) => events.addEventListener(type, listener),
    removeEventListener: (type, listener) => events.removeEventListener(type, listener),
    close,
    [Symbol.asyncDispose]: close,
  }
}

type EventMap = { [K in keyof NodeEvents]: CustomEvent<NodeEvents[K]> }

/** Also of a pairing that is not finished. */
function hasPairKey(store: Store, peer: PeerId): boolean {
  const { settled, provisional } = store.registry.pairKeysOf(peer.toString())
  return settled !== undefined || provisional !== undefined
}
