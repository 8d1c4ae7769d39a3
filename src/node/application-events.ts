import { TypedEventEmitter } from 'main-event'
import type { DeviceInfo, DeviceState, Message, NodeEvents } from '../api.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { MessageListener } from '../protocols/messaging-components.ts'
import type { Dropped } from '../store/inbox.ts'
import type { CopyReport } from '../protocols/copies.ts'
import { deviceIdOf } from '../store/device-id.ts'
import type { NodeCounters } from './node-counters.ts'

type PairingRole = NodeEvents['pairing:failed']['role']
type EventMap = { [K in keyof NodeEvents]: CustomEvent<NodeEvents[K]> }

/** Makes what happens in the node's parts the typed events of the application, and counts it. */
export class ApplicationEvents implements MessageListener {
  readonly target = new TypedEventEmitter<EventMap>()
  readonly #metrics: NodeCounters

  constructor(metrics: NodeCounters) {
    this.#metrics = metrics
  }

  /** Tells of a device that came into another state. */
  deviceChanged(before: DeviceState | null, device: DeviceInfo): void {
    if (before === 'connected') this.#emit('device:disconnected', device)
    switch (device.state) {
      case 'discovered':
        return this.#emit('device:discovered', { peerId: device.peerId })
      case 'connected':
        return this.#emit('device:connected', device)
      case 'needs-pairing':
        return this.#emit('device:needs-pairing', device)
      case 'revoked':
        return this.#emit('device:revoked', device)
      case 'disconnected':
        // First failure to find the device since this node started.
        if (before === 'paired') this.#emit('device:updated', device)
        return
      case 'pairing':
      case 'paired':
    }
  }

  /** Tells of a device whose state is the same. */
  deviceUpdated(what: 'path' | 'details', device: DeviceInfo): void {
    // Strangers in sight say all day long where they are.
    if (device.state === 'discovered' || device.state === 'pairing') return
    this.#emit(what === 'path' ? 'device:path-changed' : 'device:updated', device)
  }

  devicePaired(device: DeviceInfo): void {
    this.#emit('device:paired', device)
  }

  deviceRenamed(device: DeviceInfo): void {
    this.#emit('device:renamed', device)
  }

  messageReceived(message: Message): void {
    this.#emit('message', message)
  }

  messageDelivered(id: string, to: PeerId): void {
    this.#metrics.messageDelivered()
    this.#emit('message:delivered', { id, to: deviceIdOf(to) })
  }

  messageExpired(id: string, to: PeerId): void {
    this.#metrics.messageExpired()
    this.#emit('message:expired', { id, to: deviceIdOf(to) })
  }

  messagesHeld(to: PeerId): void {
    this.#emit('message:held', { to: deviceIdOf(to), waitsFor: 'inbox-full' })
  }

  inboxFull(from: PeerId): void {
    this.#emit('inbox:full', { from: deviceIdOf(from) })
  }

  inboxDropped({ messages, rule }: Dropped): void {
    this.#emit('inbox:dropped', { messages, rule })
  }

  deviceCopied(device: DeviceInfo): void {
    this.#emit('device:copied', device)
  }

  identityElsewhere(report: CopyReport): void {
    const by = 'by' in report ? deviceIdOf(report.by) : null
    this.#emit('identity:elsewhere', { by, address: 'by' in report ? null : report.address })
  }

  messagesRetried(): void {
    this.#metrics.messageRetried()
  }

  pairingProgress(detail: NodeEvents['pairing:progress']): void {
    this.#emit('pairing:progress', detail)
  }

  pairingSucceeded(role: PairingRole): void {
    this.#metrics.pairingEnded(role, 'paired')
  }

  pairingFailed(detail: NodeEvents['pairing:failed']): void {
    this.#metrics.pairingEnded(detail.role, detail.code)
    this.#emit('pairing:failed', detail)
  }

  #emit<K extends keyof NodeEvents>(type: K, detail: NodeEvents[K]): void {
    this.target.safeDispatchEvent(type, { detail })
  }
}
