import type { Log, NodeOptions, SpacedockNode } from './api.ts'
import { DialEvidence } from './network/reachability/dial-evidence.ts'
import type { Host } from './network/host/host.ts'
import { ProtocolRegistry } from './network/application/protocol-registry.ts'
import { refuseDevice } from './network/session/session-handshake.ts'
import { sessionProtocol } from './network/session/session.ts'
import { Connections } from './node/connections.ts'
import { nodeHandle } from './node/node-handle.ts'
import { Lifetime } from './node/lifetime.ts'
import { ApplicationEvents } from './node/application-events.ts'
import { DeviceRecords } from './node/device-records.ts'
import { Devices } from './node/devices.ts'
import { internetSettings, type InternetSettings } from './node/internet.ts'
import { thisPlatform, type Platform } from './node/platform.ts'
import { Metrics } from './node/metrics.ts'
import { checkNodeOptions } from './node/node-options.ts'
import { chooseName } from './node/own-settings.ts'
import { Pairings } from './node/pairings.ts'
import { hasPairKey, TrustedPeers } from './node/trusted-peers.ts'
import { suite1 } from './pairing/suite.ts'
import { MessagingService } from './protocols/messaging.ts'
import { Outreach } from './protocols/outreach.ts'
import { pairingProtocol } from './protocols/pairing-exchanges.ts'
import { PairingService } from './protocols/pairing.ts'
import { PubSub } from './protocols/pub-sub.ts'
import { versionsProtocol } from './protocols/versions.ts'
import type { Store } from './store/store.ts'
import { peerIdOf } from './peer-id.ts'

/**
 * Builds a node: the composition root. Start reading here.
 *
 * Rejects with a SpacedockError: `directory-unusable`, `already-running`, `identity-damaged`, `database-damaged`,
 * `database-newer`, `disk-full`, `port-taken`, `no-network`, `invalid-argument`.
 */
export async function createNode(options: NodeOptions): Promise<SpacedockNode> {
  checkNodeOptions(options)
  return startNode(options, thisPlatform(options))
}

/** Builds a node on a platform that may be another than this one; rejects with what its parts do. @internal */
export async function startNode(options: NodeOptions, platform: Platform): Promise<SpacedockNode> {
  const { log = () => {} } = options
  const settings = internetSettings(options)
  const store = platform.openStore()
  let host: Host | undefined
  try {
    chooseName(store.settings, options.name)
    host = await platform.createHost(store, settings)
    const node = await assemble(options, { platform, store, host, settings, log })
    log('info', 'node.started', { peerId: host.peerId, listen: host.listening().map(String) })
    return node
  } catch (error) {
    await host?.stop()
    store.close()
    throw error
  }
}

interface Base {
  platform: Platform
  store: Store
  host: Host
  settings: InternetSettings | null
  log: Log
}

async function assemble(
  options: NodeOptions,
  { platform, store, host, settings, log }: Base,
): Promise<SpacedockNode> {
  const { clock, random } = platform
  const metrics = new Metrics()
  const events = new ApplicationEvents(metrics)
  const lifetime = new Lifetime()
  const records = new DeviceRecords(store, lifetime)

  const trusted = new TrustedPeers(store, clock, log, (peer) => {
    connections.connectNow(peer)
    const device = store.registry.get(peer)
    if (device !== undefined) events.devicePaired(device)
  })
  store.registry.onChange((before, device) => events.deviceChanged(before, device))
  store.registry.onUpdate((what, device) => events.deviceUpdated(what, device))

  const protocols = new ProtocolRegistry({
    host: host.libp2p,
    isPaired: (peer) => hasPairKey(store, peer),
    deviceOf: (peer) => devices.trusted(peer),
    log,
    clock,
  })

  const evidence = new DialEvidence(clock, (peer) =>
    host.connectionsTo(peer).some(({ status }) => status === 'open'),
  )
  const connections = new Connections({
    evidence,
    store,
    host,
    trusted,
    metrics,
    platform,
    log,
    interfaces: options.interfaces,
    mdns: options.mdns !== false,
    settings,
    session: {
      instance: random(16),
      trust: trusted,
      calls: protocols.calls,
    },
    onSession: (peer) => {
      messaging.pump(peer)
      pubSub.connected(peer)
    },
    onSessionEnded: (peer) => pubSub.disconnected(peer),
  })

  const messaging = new MessagingService({
    inbox: metrics.watchInbox(store.inbox),
    outbox: metrics.watchOutbox(store.outbox),
    clock,
    log,
    random,
    sessions: connections.supervisor,
    devices: records,
    listener: events,
  })

  const pubSub = new PubSub({
    peers: () => records.trustedPeers(),
    sessions: connections.supervisor,
    deviceOf: (peer) => devices.of(peer),
    clock,
    log,
  })

  const pairing = new PairingService({
    host,
    suite: suite1,
    clock,
    log,
    random,
    trust: trusted,
    settings: store.settings,
    registry: store.registry,
    connections,
  })

  trusted.whenConfirmed((peer, acknowledgement) => pairing.confirmedBySession(peer, acknowledgement))
  protocols.attach({
    protocol: pairingProtocol,
    access: 'strangers',
    handle: (stream, connection) => pairing.handle(stream, connection),
  })
  protocols.attach({
    protocol: sessionProtocol,
    access: 'paired',
    refuse: (stream, connection) =>
      refuseDevice(stream, trusted.noticeTo(peerIdOf(connection.remotePeer)), clock),
    handle: (stream, connection, { signal }) => connections.accept(stream, connection, signal),
  })
  protocols.register(messaging.protocol)
  messaging.start()
  protocols.register(versionsProtocol((name) => protocols.versionsOf(name)))
  protocols.register(pubSub.topics)
  protocols.register(pubSub.publications)

  const devices = new Devices({
    lifetime,
    store,
    clock,
    supervisor: connections.supervisor,
    messaging,
    records,
    listener: events,
  })
  const { registry } = store
  const pairings = new Pairings({
    host,
    localNetwork: connections.localNetwork,
    internet: connections.internet,
    outreach: new Outreach({ host, clock, wanted: trusted, registry, connections }),
    evidence,
    registry,
    events,
    pairing,
    devices,
    clock,
    log,
  })

  async function shutDown(): Promise<void> {
    await pairing.close()
    messaging.close()
    pubSub.close()
    await connections.stop()
    await protocols.close()
    await host.stop()
    trusted.close()
    store.close()
    log('info', 'node.closed')
  }

  const node = nodeHandle({
    store,
    host,
    events,
    metrics,
    connections,
    devices,
    records,
    messaging,
    pubSub,
    protocols,
    pairings,
    lifetime,
    close: () => lifetime.end(shutDown),
    clock,
  })
  try {
    // The application registers before any device is connected: the first request of a fast one finds its handler.
    options.setUp?.(node)
    await connections.start()
  } catch (error) {
    await node.close()
    throw error
  }
  return node
}
