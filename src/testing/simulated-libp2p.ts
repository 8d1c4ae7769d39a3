import type { Connection, Libp2pEvents, PeerId, StreamHandler } from '@libp2p/interface'
import { TypedEventEmitter } from 'main-event'
import type { HostLibp2p } from '../network/host/host.ts'
import type { SimulatedConnection } from './simulated-connection.ts'

/** Part of libp2p that a node asks for itself. */
export class SimulatedLibp2p extends TypedEventEmitter<Libp2pEvents> implements HostLibp2p {
  readonly peerId: PeerId
  readonly connections = new Set<SimulatedConnection>()
  readonly handlers = new Map<string, StreamHandler>()
  connectionCount = 0

  constructor(peerId: PeerId) {
    super()
    this.peerId = peerId
  }

  getConnections(peerId?: PeerId): Connection[] {
    return [...this.connections].filter(({ remotePeer }) => peerId === undefined || remotePeer.equals(peerId))
  }

  getPeers(): PeerId[] {
    return [
      ...new Map(this.getConnections().map(({ remotePeer }) => [String(remotePeer), remotePeer])).values(),
    ]
  }

  async handle(protocol: string | string[], handler: StreamHandler): Promise<void> {
    for (const name of [protocol].flat()) this.handlers.set(name, handler)
  }

  async unhandle(protocol: string | string[]): Promise<void> {
    for (const name of [protocol].flat()) this.handlers.delete(name)
  }

  async dial(): Promise<Connection> {
    throw new Error('the simulated network has no rendezvous nodes')
  }
}
