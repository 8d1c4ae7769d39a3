import type {
  ClearInboxOptions,
  Clock,
  InboxOptions,
  MessagesOptions,
  Protocol,
  SpacedockNode,
  SubscribeOptions,
} from '../api.ts'
import { checkOptions, type OptionNames } from '../known-options.ts'
import type { Host } from '../network/host/host.ts'
import { requireApplicationName } from '../network/application/protocol-definitions.ts'
import type { ProtocolRegistry } from '../network/application/protocol-registry.ts'
import type { MessagingService } from '../protocols/messaging.ts'
import type { PubSub } from '../protocols/pub-sub.ts'
import { deviceIdOf } from '../store/device-id.ts'
import type { Store } from '../store/store.ts'
import { pathOf } from './connection-recorder.ts'
import type { Connections } from './connections.ts'
import type { ApplicationEvents } from './application-events.ts'
import type { KnownDevices } from './known-devices.ts'
import type { Lifetime } from './lifetime.ts'
import type { Notices } from './notices.ts'
import type { NodeCounters } from './node-counters.ts'
import { chooseName } from './own-settings.ts'
import type { Pairings } from './pairings.ts'

export interface NodeHandleParts {
  store: Store
  host: Host
  events: ApplicationEvents
  notices: Notices
  metrics: NodeCounters
  connections: Connections
  devices: KnownDevices
  messaging: MessagingService
  pubSub: PubSub
  protocols: ProtocolRegistry
  pairings: Pairings
  lifetime: Lifetime
  close: () => Promise<void>
  clock: Clock
}

/** A node as the application has it: checks the options of each call, and that the node is open, and hands the call to its part. */
// oxlint-disable-next-line max-lines-per-function -- a line or two for each call of the public API
export function nodeHandle(parts: NodeHandleParts): SpacedockNode {
  const { store, host, events, metrics, connections, devices, messaging, pubSub, protocols, pairings } = parts
  const { lifetime, close, clock, notices } = parts
  const startedAtMs = clock.monotonic()
  const ownName = (): string => store.settings.get().name ?? ''
  const whileOpen = <Result>(run: () => Result): Result => {
    lifetime.requireOpen()
    return run()
  }
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
      devices: devices.paired().length,
      publicNetwork: connections.internet?.publicNetwork() ?? null,
      notices: notices.list(),
      inbox: messaging.received.amount(),
      uptimeMs: Math.round(clock.monotonic() - startedAtMs),
    }),
    metrics: () =>
      whileOpen(() =>
        metrics.read({
          connections: [...host.libp2p.getConnections(), ...(host.tls?.connections() ?? [])].map(
            (connection) => pathOf(connection),
          ),
          sessions: connections.sessionPaths(),
          sessionsOverTls: connections.sessionsOverTls(),
          queued: store.outbox.count(),
        }),
      ),
    pair: async (pairOptions = {}) => whileOpen(() => pairings.pair(pairOptions)),
    join: async (code, joinOptions = {}) => whileOpen(() => pairings.join(code, joinOptions)),
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
      return messaging.received.listen(after, signal)
    },
    inbox: (inboxOptions = {}) =>
      whileOpen(() => {
        checkOptions(inboxOptions, inboxOptionNames, 'inbox')
        return messaging.received.list(inboxOptions.after ?? 0)
      }),
    removeMessage: async (sequence) => whileOpen(() => messaging.received.remove(sequence)),
    clearInbox: async (clearOptions = {}) =>
      whileOpen(() => {
        checkOptions(clearOptions, clearInboxOptionNames, 'clearInbox')
        return messaging.received.clear(clearOptions.upTo)
      }),
    outbox: () => whileOpen(() => messaging.queued()),
    addEventListener: (...listening) => events.target.addEventListener(...listening),
    removeEventListener: (type, listener) => events.target.removeEventListener(type, listener),
    close,
    [Symbol.asyncDispose]: close,
  }
}

const subscribeOptionNames: OptionNames<SubscribeOptions> = { schema: true, signal: true, maxBuffered: true }
const inboxOptionNames: OptionNames<InboxOptions> = { after: true }
const messagesOptionNames: OptionNames<MessagesOptions> = { ...inboxOptionNames, signal: true }
const clearInboxOptionNames: OptionNames<ClearInboxOptions> = { upTo: true }
