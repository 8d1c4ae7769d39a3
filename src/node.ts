import { TypedEventEmitter } from 'main-event'
import type {
  ClearInboxOptions,
  InboxOptions,
  Log,
  MessagesOptions,
  NodeEvents,
  NodeOptions,
  Protocol,
  SpacedockNode,
  SubscribeOptions,
} from './api.ts'
import { SpacedockError } from './errors.ts'
import { checkOptions, type OptionNames } from './known-options.ts'
import { DialEvidence } from './network/dial-evidence.ts'
import type { Host } from './network/host.ts'
import { requireApplicationName } from './network/protocol-definitions.ts'
import { ProtocolRegistry } from './network/protocol-registry.ts'
import { refuseDevice } from './network/session/session-handshake.ts'
import { sessionProtocol } from './network/session/session.ts'
import { Connections, pathOf } from './node/connections.ts'
import { announceChange, announceUpdate, type Emit } from './node/device-events.ts'
import { Devices } from './node/devices.ts'
import { internetSettings, type InternetSettings } from './node/internet.ts'
import { thisPlatform, type Platform } from './node/platform.ts'
import { Metrics } from './node/metrics.ts'
import { checkNodeOptions } from './node/node-options.ts'
import { chooseName } from './node/own-settings.ts'
import { join, pair, type PairingsParts } from './node/pairings.ts'
import { hasPairKey, TrustedPeers } from './node/trusted-peers.ts'
import { suite1 } from './pairing/suite.ts'
import { MessagingService } from './protocols/messaging.ts'
import { Outreach } from './protocols/outreach.ts'
import { pairingProtocol, PairingService } from './protocols/pairing.ts'
import { PubSub } from './protocols/pub-sub.ts'
import { versionsProtocol } from './protocols/versions.ts'
import { deviceIdOf } from './store/device-id.ts'
import type { Store } from './store/store.ts'
import type { PeerId } from './pairing/peer-id.ts'
import { peerIdOf } from './peer-id.ts'

/**
 * Builds a node: the composition root, and the one place where connection, discovery and protocol events become the typed events
 * of the application. Start reading here.
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
  const events = new TypedEventEmitter<EventMap>()
  const emit: Emit = (type, detail) => void events.safeDispatchEvent(type, { detail })
  const metrics = new Metrics()
  let closing: Promise<void> | undefined

  const trusted = new TrustedPeers(store, clock, log, (peer) => {
    connections.connectNow(peer)
    const device = store.registry.get(peer)
    if (device !== undefined) emit('device:paired', device)
  })
  store.registry.onChange((before, device) => announceChange(before, device, emit))
  store.registry.onUpdate((what, device) => announceUpdate(what, device, emit))

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
    randomId: () => Buffer.from(random(16)).toString('base64url'),
    requestOf: (peer) => {
      const live = connections.sessionOf(peer)
      return live === undefined
        ? null
        : (value, { signal: closed }) => {
            // A message lost on a path that died is sent again over the one that took its place: the receiver knows it by its id.
            const signal = AbortSignal.any([closed, live.forsaken])
            const { name, version } = messaging.protocol
            return metrics.handedOver(live.request({ name, version, value }, { signal }), { signal: closed })
          }
    },
    budgetOf: (peer) => connections.sessionOf(peer)?.budget ?? null,
    requirePaired: (peer) => devices.of(peer).requirePaired(),
    nameOf: (peer) => ({ id: deviceIdOf(peer), name: store.registry.get(peer)?.name ?? deviceIdOf(peer) }),
    onMessage: (message) => emit('message', message),
    onDelivered: (delivered) => {
      metrics.messageDelivered()
      emit('message:delivered', { id: delivered.id, to: deviceIdOf(delivered.to) })
    },
    onExpired: (expired) => {
      metrics.messageExpired()
      emit('message:expired', { id: expired.id, to: deviceIdOf(expired.to) })
    },
  })

  const pubSub = new PubSub({
    peers: () => devices.trustedPeers(),
    sessionOf: (peer) => connections.sessionOf(peer),
    deviceOf: (peer) => devices.of(peer),
    clock,
    log,
  })

  const release = (peer: PeerId): void => {
    if (trusted.keysOf(peer).length === 0) host.disconnect(peer)
  }
  const pairing = new PairingService({
    host,
    suite: suite1,
    clock,
    log,
    random,
    trust: trusted,
    deviceName: () => store.settings.get().name ?? '',
    addressesOf: (peer) => connections.addressesOf(peer),
    idOf: deviceIdOf,
    release,
    onPairing: (peer, running) => store.registry.pairing(peer, running),
    onUnfinished: (peer) => connections.connectNow(peer),
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
      refuseDevice(stream, trusted.farewellTo(peerIdOf(connection.remotePeer)), clock),
    handle: (stream, connection, { signal }) => connections.accept(stream, connection, signal),
  })
  protocols.register(messaging.protocol)
  messaging.start()
  protocols.register(versionsProtocol((name) => protocols.versionsOf(name)))
  protocols.register(pubSub.topics)
  protocols.register(pubSub.publications)

  const whileOpen = <Result>(run: () => Result): Result => {
    if (closing === undefined) return run()
    throw new SpacedockError('closed', 'The node was closed.', { hint: 'Make a new one with createNode().' })
  }
  const devices = new Devices({
    requireOpen: () => whileOpen(() => undefined),
    store,
    clock,
    supervisor: connections.supervisor,
    messaging,
    onRenamed: (device) => emit('device:renamed', device),
  })
  const pairings: PairingsParts = {
    pairing,
    host,
    localNetwork: connections.localNetwork,
    internet: connections.internet,
    evidence,
    outreach: new Outreach({
      host,
      clock,
      isKeptConnected: (peer) => trusted.isWanted(peer),
      release: (peer) => {
        if (store.registry.get(peer)?.state !== 'pairing') release(peer)
      },
    }),
    clock,
    nameOf: (peer) => {
      const device = store.registry.get(peer)
      return device === undefined || device.name === device.id ? null : device.name
    },
    log,
    deviceOf: (peer) => devices.of(peer),
    emit,
    onEnded: (role, outcome) => metrics.pairingEnded(role, outcome),
  }

  const startedAtMs = clock.monotonic()

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

  const close = (): Promise<void> => (closing ??= shutDown())
  const ownName = (): string => store.settings.get().name ?? ''
  const node: SpacedockNode = {
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
      devices: devices.trustedPeers().length,
      publicNetwork: connections.internet?.publicNetwork() ?? null,
      uptimeMs: Math.round(clock.monotonic() - startedAtMs),
    }),
    metrics: () =>
      whileOpen(() =>
        metrics.read({
          connections: host.libp2p.getConnections().map((connection) => pathOf(connection)),
          queued: store.outbox.count(),
        }),
      ),
    pair: async (pairOptions = {}) => whileOpen(() => pair(pairings, pairOptions)),
    join: async (code, joinOptions = {}) => whileOpen(() => join(pairings, code, joinOptions)),
    devices: () => whileOpen(() => devices.list()),
    device: (reference) => whileOpen(() => devices.find(reference)),
    rename: async (name) => whileOpen(() => chooseName(store.settings, name)),
    handle: ((protocol: Protocol<unknown, unknown>) =>
      whileOpen(() => {
        requireApplicationName(protocol)
        return protocols.register(protocol)
      })) as SpacedockNode['handle'],
    publish: async (topic, value) => whileOpen(() => pubSub.publish(topic, value)),
    subscribe: (topic, subscribeOptions = {}) =>
      whileOpen(() => {
        checkOptions(subscribeOptions, subscribeOptionNames, 'subscribe')
        return pubSub.subscribe(topic, subscribeOptions)
      }),
    messages(messagesOptions = {}) {
      checkOptions(messagesOptions, messagesOptionNames, 'messages')
      const { after = 0, signal } = messagesOptions
      return messaging.messages(after, signal)
    },
    inbox: (inboxOptions = {}) =>
      whileOpen(() => {
        checkOptions(inboxOptions, inboxOptionNames, 'inbox')
        return messaging.inboxMessages(inboxOptions.after ?? 0)
      }),
    removeMessage: async (sequence) => whileOpen(() => messaging.removeFromInbox(sequence)),
    clearInbox: async (clearOptions = {}) =>
      whileOpen(() => {
        checkOptions(clearOptions, clearInboxOptionNames, 'clearInbox')
        return messaging.clearInbox(clearOptions.upTo)
      }),
    outbox: () => whileOpen(() => messaging.outboxMessages()),
    addEventListener: (...listening) => events.addEventListener(...listening),
    removeEventListener: (type, listener) => events.removeEventListener(type, listener),
    close,
    [Symbol.asyncDispose]: close,
  }
  try {
    // The application registers before any device is connected: the first request of a fast one finds its handler.
    options.setUp?.(node)
    await connections.start()
  } catch (error) {
    await close()
    throw error
  }
  return node
}

type EventMap = { [K in keyof NodeEvents]: CustomEvent<NodeEvents[K]> }

const subscribeOptionNames: OptionNames<SubscribeOptions> = { schema: true, signal: true, maxBuffered: true }
const inboxOptionNames: OptionNames<InboxOptions> = { after: true }
const messagesOptionNames: OptionNames<MessagesOptions> = { ...inboxOptionNames, signal: true }
const clearInboxOptionNames: OptionNames<ClearInboxOptions> = { upTo: true }
