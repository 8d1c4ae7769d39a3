import { randomBytes } from 'node:crypto'
import type { Connection, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { TypedEventEmitter } from 'main-event'
import type { DeviceInfo, DeviceState, NodeEvents, NodeOptions, SpacedockNode } from './api.ts'
import { systemClock } from './clock.ts'
import { SpacedockError } from './errors.ts'
import { ConnectionSupervisor } from './network/supervisor/connection-supervisor.ts'
import { DirectPaths } from './network/relay/direct-paths.ts'
import { LocalNetwork } from './network/discovery/local-network.ts'
import { createHost } from './network/host.ts'
import { watchInterfaces } from './network/interfaces.ts'
import { chooseListenPort, isPortFree } from './network/listen-port.ts'
import { ProtocolRegistry } from './network/protocol-registry.ts'
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
import { Devices } from './node/devices.ts'
import { Internet, internetSettings, ownDht, relayOptions } from './node/internet.ts'
import { chooseName } from './node/own-name.ts'
import { join, pair, type PairingsParts } from './node/pairings.ts'
import { TrustedPeers } from './node/trusted-peers.ts'
import { deviceIdOf } from './store/device-id.ts'
import { openStore, type Store } from './store/store.ts'

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
  const events = new TypedEventEmitter<EventMap>()
  const emit = <K extends keyof NodeEvents>(type: K, detail: NodeEvents[K]): void => {
    events.safeDispatchEvent(type, { detail })
  }
  chooseName(store.settings, options.name)
  let closing: Promise<void> | undefined

  const settings = internetSettings(options)
  const port = await listenPort(store, options.port, log)
  const host = await createHost({
    seed: store.identity.seed,
    port,
    interfaces,
    agent: 'spacedock/0.1.0',
    dht: ownDht(settings, clock),
    relay: relayOptions(options, (peer) => trusted.keysOf(peer.toString()).length > 0),
  })
  const trusted = new TrustedPeers(store, clock, log, (peer) => {
    supervisor.connectNow(peerIdFromString(peer))
    const device = store.registry.get(peer)
    if (device !== undefined) emit('device:paired', device)
  })
  store.registry.onChange((before, device) => announceChange(before, device, emit))

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
    isPaired: (peer) => trusted.keysOf(peer.toString()).length > 0,
    deviceOf: (peer) => devices.trusted(peer.toString()),
    log,
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
  }

  const supervisor = new ConnectionSupervisor({
    localPeer: host.libp2p.peerId,
    devices: () => trusted.wanted().map((peer) => peerIdFromString(peer)),
    addressesOf: (peer) => addressesOf(peer.toString()).map((address) => multiaddr(address)),
    connectionsTo: (peer) => host.libp2p.getConnections(peer),
    dial: (peer, addresses, { signal }) => host.connect(peer.toString(), addresses, { signal }),
    openSession: (connection, { signal }) => openSession(connection, { ...session, signal }),
    onSession: (started) => {
      const { remotePeer, connection } = started
      const address = connection.remoteAddr.toString()
      log('info', 'session.started', { peer: remotePeer.toString(), address })
      store.registry.connected(remotePeer.toString(), { path: pathOf(connection), address })
      void rememberAddress(connection)
      directPaths.sessionStarted(started)
      messaging.pump(remotePeer.toString())
    },
    onSessionEnded: (peer, { reason }) => {
      log('info', 'session.ended', { peer: peer.toString(), reason })
      store.registry.disconnected(peer.toString())
      internet?.presence.look(peer.toString())
    },
    onAttemptFailed: (peer, cause) => {
      log('debug', 'session.attempt-failed', { peer: peer.toString(), error: String(cause) })
      store.registry.disconnected(peer.toString())
    },
    onUnknownDevice: (peer) => trusted.disowned(peer.toString()),
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

  /** Where a device was last, where it is seen, and where it says that it is. */
  function addressesOf(peer: string): string[] {
    return [...store.registry.addressesOf(peer), ...(internet?.presence.addressesOf(peer) ?? [])]
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

  const devices = new Devices({ store, clock, supervisor, messaging })
  const pairings: PairingsParts = {
    pairing,
    host,
    localNetwork: options.mdns === false ? null : localNetwork,
    internet,
    log,
    deviceOf: (peer) => devices.handle(peer),
    emit,
  }

  const onNetworkChange = (): void => {
    host.networkChanged()
    supervisor.networkChanged()
    directPaths.networkChanged()
    internet?.networkChanged()
  }
  const stopWatching = watchInterfaces(onNetworkChange, { names: interfaces })
  const startedAtMs = clock.monotonic()
  if (options.mdns !== false) await localNetwork.start()
  internet?.start()
  supervisor.start()
  log('info', 'node.started', { peerId: host.peerId, port })

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

/** A port that was asked for must be free; one that we chose ourselves is exchanged for this run when it is not. */
async function listenPort(
  store: Store,
  wanted: number | undefined,
  log: NonNullable<NodeOptions['log']>,
): Promise<number> {
  if (wanted !== undefined) return wanted
  const kept = store.settings.get().port
  if (kept === null) {
    const port = await chooseListenPort()
    if (port > 0) store.settings.update({ port })
    return port
  }
  if (await isPortFree(kept, '0.0.0.0')) return kept
  log('warn', 'node.port-busy', { port: kept })
  return chooseListenPort()
}

function pathOf(connection: Connection): 'direct' | 'relayed' {
  return connection.remoteAddr.toString().includes('/p2p-circuit') ? 'relayed' : 'direct'
}

function announceChange(
  before: DeviceState | null,
  device: DeviceInfo,
  emit: <K extends keyof NodeEvents>(type: K, detail: NodeEvents[K]) => void,
): void {
  if (before === 'connected') emit('device:disconnected', device)
  switch (device.state) {
    case 'discovered':
      return emit('device:discovered', { peerId: device.peerId })
    case 'connected':
      return emit('device:connected', device)
    case 'needs-pairing':
      return emit('device:needs-pairing', device)
    case 'revoked':
      return emit('device:revoked', device)
    case 'pairing':
    case 'paired':
    case 'disconnected':
  }
}
