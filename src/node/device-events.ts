import type { DeviceInfo, DeviceState, NodeEvents } from '../api.ts'

export type Emit = <K extends keyof NodeEvents>(type: K, detail: NodeEvents[K]) => void

/** Tells an application of a device whose state is the same. */
export function announceUpdate(what: 'path' | 'details', device: DeviceInfo, emit: Emit): void {
  // Strangers in sight say all day long where they are.
  if (device.state === 'discovered' || device.state === 'pairing') return
  emit(what === 'path' ? 'device:path-changed' : 'device:updated', device)
}

/** Tells of a device that came into another state, as the events an application listens to. */
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
    case 'disconnected':
      // First failure to find the device since this node started.
      if (before === 'paired') emit('device:updated', device)
      return
    case 'pairing':
    case 'paired':
  }
}
