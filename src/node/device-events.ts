import type { DeviceInfo, DeviceState, NodeEvents } from '../api.ts'

export type Emit = <K extends keyof NodeEvents>(type: K, detail: NodeEvents[K]) => void

/** A device that came into another state, as the events an application listens to. */
export function announceChange(before: DeviceState | null, device: DeviceInfo, emit: Emit): void {
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
