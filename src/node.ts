import type { Clock, Log, NodeOptions, SpacedockNode } from './api.ts'
import { ProtocolRegistry } from './network/application/protocol-registry.ts'
import type { Host } from './network/host/host.ts'
import { DialEvidence } from './network/reachability/dial-evidence.ts'
import { ApplicationEvents } from './node/application-events.ts'
import { Connections } from './node/connections.ts'
import { DeviceRecords } from './node/device-records.ts'
import { KnownDevices } from './node/known-devices.ts'
import { internetSettings, loadInternet, type OpenInternet } from './node/internet-settings.ts'
import { Lifetime } from './node/lifetime.ts'
import { NodeCounters } from './node/node-counters.ts'
import { Notices } from './node/notices.ts'
import { nodeHandle } from './node/node-handle.ts'
import { checkNodeOptions } from './node/node-options.ts'
import { chooseName } from './node/own-settings.ts'
import { PresenceChains } from './node/presence-chains.ts'
import { Pairings } from './node/pairings.ts'
import { thisPlatform, type Platform } from './node/platform.ts'
import { TrustedPeers } from './node/trusted-peers.ts'
import { suite1 } from './pairing/suite.ts'
import { Copies } from './protocols/copies.ts'
import { MessagingService } from './protocols/messaging.ts'
import { Outreach } from './protocols/outreach.ts'
import { PairingService } from './protocols/pairing-service.ts'
import { PathExchange } from './protocols/path-exchange.ts'
import { PubSub } from './protocols/pub-sub.ts'
import { PresenceExchange } from './protocols/presence-exchange.ts'
import { versionsProtocol } from './protocols/versions-protocol.ts'
import type { DeviceRegistry } from './store/device-registry.ts'
import type { Store } from './store/store.ts'

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
  const meetingPoints = internetSettings(options)
  const openInternet = meetingPoints === null ? null : await loadInternet(meetingPoints)
  const store = platform.openStore()
  let host: Host | undefined
  try {
    chooseName(store.settings, options.name)
    host = await platform.createHost(store, meetingPoints)
    const { clock, random } = platform
    const { registry } = store
    const parts = makeParts({ options, openInternet, platform, clock, random, log, store, registry, host })
    subscribeParts(parts)
    serveProtocols(parts)
    const node = await openNode(parts)
    if (store.putBack !== null) log('warn', 'store.put-back', { ...store.putBack })
    log('info', 'node.started', { peerId: host.peerId, listen: host.listening().map(String) })
    return node
  } catch (error) {
    await host?.stop()
    store.close()
    throw error
  }
}

/** What is there before the parts, and what all of them may have. */
interface Base {
  options: NodeOptions
  /** Null when nothing but the local network is used. */
  openInternet: OpenInternet | null
  platform: Platform
  clock: Clock
  random: Platform['random']
  log: Log
  store: Store
  registry: DeviceRegistry
  host: Host
}

type Parts = ReturnType<typeof makeParts>

/** Makes the parts, each after those that it needs. */
function makeParts(base: Base) {
  const { options, random, clock, log, store, host } = base
  const lifetime = new Lifetime()
  const metrics = new NodeCounters()
  const events = new ApplicationEvents(metrics)
  const records = new DeviceRecords(store, lifetime)
  const trusted = new TrustedPeers(store, clock, log)
  const protocols = new ProtocolRegistry({ host: host.libp2p, trust: trusted, clock, log })
  const copies = new Copies({ clock, log })
  const evidence = new DialEvidence(clock, (peer) =>
    host.connectionsTo(peer).some(({ status }) => status === 'open'),
  )
  const presenceKeys = new PresenceChains({ ...base, trusted, states: store.presence })
  const connections = new Connections({
    ...base,
    presenceKeys,
    trusted,
    metrics,
    copies,
    evidence,
    interfaces: options.interfaces,
    mdns: options.mdns !== false,
    session: { instance: random(16), trust: trusted, calls: protocols.calls },
  })
  const { supervisor, localNetwork, internet } = connections
  const messaging = new MessagingService({
    ...base,
    inbox: metrics.watchInbox(store.inbox),
    outbox: metrics.watchOutbox(store.outbox),
    devices: records,
    sessions: supervisor,
    copies,
    listener: events,
  })
  const devices = new KnownDevices({ ...base, records, supervisor, messaging, listener: events, lifetime })
  const presence = new PresenceExchange({
    chains: presenceKeys,
    sessions: supervisor,
    onChanged: (peer) => internet?.presence.keysChanged(peer),
    log,
  })
  const paths = new PathExchange({
    host,
    sessions: supervisor,
    onPaths: (session) => connections.remember(session),
    onStopgap: (session) => connections.tlsMissed(session),
    log,
  })
  const pubSub = new PubSub({ devices, sessions: supervisor, clock, log })
  const { settings } = store
  const pairing = new PairingService({ ...base, suite: suite1, trust: trusted, connections, settings })
  const outreach = new Outreach({ ...base, wanted: trusted, connections })
  const search = { outreach, localNetwork, internet, evidence }
  const pairings = new Pairings({ ...base, ...search, pairing, devices, events })
  const notices = new Notices({ store, copies, records })
  const made = { presenceKeys, presence, paths, lifetime, metrics, events, trusted, protocols, connections }
  return { ...base, ...made, copies, notices, messaging, devices, pubSub, pairing, pairings }
}

/** Subscribes the parts to one another. */
function subscribeParts(parts: Parts): void {
  const { registry, trusted, connections, copies, messaging, pubSub, presence, pairing, events } = parts
  const { store, presenceKeys, paths } = parts
  registry.onChange((before, device) => events.deviceChanged(before, device))
  registry.onUpdate((what, device) => events.deviceUpdated(what, device))
  trusted.whenPaired((peer) => {
    connections.connectNow(peer)
    const device = registry.get(peer)
    if (device !== undefined) events.devicePaired(device)
  })
  trusted.whenConfirmed((peer, acknowledgement) => pairing.confirmedBySession(peer, acknowledgement))
  watchForCopies(parts)
  presenceKeys.whenClockSet(() => {
    for (const peer of store.presence.peers()) void presence.connected(peer)
  })
  store.trust.onChange((peer) => {
    if (store.trust.get(peer)?.state === 'revoked') presenceKeys.forget(peer)
  })
  connections.supervisor.listen({
    sessionStarted: ({ id }, session) => {
      copies.sessionStarted(session)
      messaging.pump(id)
      pubSub.connected(id)
      void presence.connected(id)
      void paths.connected(session)
    },
    sessionEnded: ({ id }) => pubSub.disconnected(id),
  })
}

/** Holds what waits for a device that is there twice, and tells of it. */
function watchForCopies({ registry, store, copies, messaging, events }: Parts): void {
  copies.listen({
    deviceCopied: (peer) => {
      const device = registry.get(peer)
      if (device !== undefined) events.deviceCopied(device)
    },
    identityElsewhere: (report) => events.identityElsewhere(report),
    copiesGone: (peer) => messaging.pump(peer),
  })
  store.trust.onChange((peer) => {
    if (store.trust.get(peer)?.state === 'revoked') copies.forget(peer)
  })
}

/** Serves what strangers, paired peers and trusted devices may ask of this device. */
function serveProtocols(parts: Parts): void {
  const { protocols, connections, copies, devices, messaging, pubSub, presence, paths, pairing } = parts
  protocols.serveTo(devices)
  protocols.attach(pairing.protocol)
  protocols.attach(connections.protocol)
  protocols.register(messaging.protocol)
  protocols.register(versionsProtocol((name) => protocols.versionsOf(name)))
  protocols.register(copies.protocol)
  protocols.register(pubSub.topics)
  protocols.register(pubSub.publications)
  protocols.register(presence.protocol)
  protocols.register(paths.protocol)
}

/** Hands the node to the application, then connects its devices. */
async function openNode(parts: Parts): Promise<SpacedockNode> {
  const { options, lifetime, messaging, connections, presenceKeys } = parts
  const node = nodeHandle({ ...parts, close: () => lifetime.end(() => shutDown(parts)) })
  try {
    messaging.start()
    presenceKeys.start()
    // The application registers before any device is connected: the first request of a fast one finds its handler.
    options.setUp?.(node)
    await connections.start()
  } catch (error) {
    await node.close()
    throw error
  }
  return node
}

async function shutDown(parts: Parts): Promise<void> {
  const { store, host, trusted, protocols, connections, presenceKeys, copies } = parts
  const { messaging, pubSub, pairing, log } = parts
  await pairing.close()
  messaging.close()
  pubSub.close()
  copies.close()
  presenceKeys.stop()
  await connections.stop()
  await protocols.close()
  await host.stop()
  trusted.close()
  store.close()
  log('info', 'node.closed')
}
