import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import type { Clock, Log } from '../../api.ts'
import { InterruptibleSleep } from '../interruptible-sleep.ts'
import { Backoff } from '../backoff.ts'
import { startDeadline } from '../deadline.ts'
import { parsePeerAddress } from '../addresses/peer-address.ts'

export interface RendezvousNodesOptions {
  libp2p: Pick<Libp2p, 'dial' | 'getConnections' | 'addEventListener' | 'removeEventListener'>
  /** Multiaddrs of the nodes, each ending in /p2p/PEERID. */
  addresses: readonly string[]
  clock: Clock
  /** Returns a random number in [0, 1). @default Math.random */
  random?: () => number
  log: Log
  /** Called when a node was connected, for the first time or again. */
  onConnected?: (peer: string) => void
}

interface RendezvousNode {
  peer: string
  peerId: PeerId
  addresses: Multiaddr[]
  sleep: InterruptibleSleep
}

/** Keeps connections to the rendezvous nodes, for ever, in the background: one that cannot be reached delays nothing. */
export class RendezvousNodes {
  readonly #options: RendezvousNodesOptions
  readonly #nodes = new Map<string, RendezvousNode>()
  readonly #stop = new AbortController()
  #tasks: Promise<void>[] = []

  /** Throws `invalid-argument` for an address that is none. */
  constructor(options: RendezvousNodesOptions) {
    this.#options = options
    for (const text of options.addresses) {
      const { address, peer } = parsePeerAddress(text)
      const node = this.#nodes.get(peer)
      if (node !== undefined) node.addresses.push(address)
      else {
        const sleep = new InterruptibleSleep(options.clock)
        this.#nodes.set(peer, { peer, peerId: peerIdFromString(peer), addresses: [address], sleep })
      }
    }
  }

  /** Starts and resolves at once. */
  start(): void {
    if (this.#tasks.length > 0) return
    this.#options.libp2p.addEventListener('peer:disconnect', this.#onDisconnect)
    this.#tasks = [...this.#nodes.values()].map((node) => this.#keep(node))
  }

  async stop(): Promise<void> {
    this.#options.libp2p.removeEventListener('peer:disconnect', this.#onDisconnect)
    this.#stop.abort()
    await Promise.all(this.#tasks)
  }

  /** Tries unconnected nodes now. */
  hurry(): void {
    for (const { sleep } of this.#nodes.values()) sleep.interrupt()
  }

  has(peer: string): boolean {
    return this.#nodes.has(peer)
  }

  /** Peer ids of the connected nodes. */
  connected(): string[] {
    return [...this.#nodes.values()].filter((node) => this.#isConnected(node)).map(({ peer }) => peer)
  }

  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    this.#nodes.get(detail.toString())?.sleep.interrupt()
  }

  async #keep(node: RendezvousNode): Promise<void> {
    const { random, log, onConnected } = this.#options
    const { signal } = this.#stop
    const backoff = new Backoff(random)
    while (!signal.aborted) {
      if (this.#isConnected(node)) {
        await node.sleep.for(checkMs, signal)
        continue
      }
      const error = await this.#dial(node, signal)
      if (signal.aborted) return
      if (error === null) {
        backoff.reset()
        log('info', 'rendezvous.connected', { peer: node.peer })
        onConnected?.(node.peer)
        continue
      }
      log('debug', 'rendezvous.unreachable', { peer: node.peer, error: error.message })
      await node.sleep.for(backoff.next(), signal)
    }
  }

  async #dial({ addresses }: RendezvousNode, signal: AbortSignal): Promise<Error | null> {
    const deadline = startDeadline(dialTimeoutMs, () => new Error('no answer'), { signal })
    try {
      await this.#options.libp2p.dial(addresses, { signal: deadline.signal })
      return null
    } catch (error) {
      return error instanceof Error ? error : new Error('the dial failed', { cause: error })
    } finally {
      deadline.stop()
    }
  }

  #isConnected({ peerId }: RendezvousNode): boolean {
    return this.#options.libp2p.getConnections(peerId).some(({ status }) => status === 'open')
  }
}

const dialTimeoutMs = 10_000
/** Interval of checks; a disconnection is an event, so they only make sure. */
const checkMs = 60_000
