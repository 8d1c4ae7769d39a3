/** The part of hyperdht that the benchmark uses: it brings no types. */
declare module 'hyperdht' {
  import type { Duplex } from 'node:stream'
  export interface KeyPair {
    publicKey: Uint8Array
    secretKey: Uint8Array
  }
  export default class DHT {
    constructor(options: { bootstrap: unknown[]; host: string; firewalled?: boolean })
    static keyPair(seed?: Uint8Array): KeyPair
    readonly stats: { requests: { total: number } }
    fullyBootstrapped(): Promise<void>
    mutablePut(keyPair: KeyPair, value: Uint8Array): Promise<{ closestNodes: unknown[] }>
    mutableGet(publicKey: Uint8Array, options?: { latest?: boolean }): Promise<{ seq: number } | null>
    createServer(onSocket: (socket: Duplex) => void): { listen(keyPair: KeyPair): Promise<void> }
    connect(publicKey: Uint8Array): Duplex
    destroy(): Promise<void>
  }
}

declare module 'hyperdht/testnet.js' {
  import type DHT from 'hyperdht'
  export default function createTestnet(
    size: number,
  ): Promise<{ bootstrap: unknown[]; createNode(): DHT; destroy(): Promise<void> }>
}

/** The same of hyperswarm and blind-pairing. */
declare module 'hyperswarm' {
  import type DHT from 'hyperdht'
  export default class Hyperswarm {
    constructor(options: { dht: DHT })
    listen(): Promise<void>
    destroy(): Promise<void>
  }
}

declare module 'blind-pairing' {
  import type Hyperswarm from 'hyperswarm'
  export interface Member {
    flushed(): Promise<void>
    close(): Promise<void>
  }
  interface Candidate {
    open(publicKey: Uint8Array): void
    confirm(content: { key: Uint8Array }): void
  }
  export default class BlindPairing {
    static createInvite(key: Uint8Array): {
      invite: Uint8Array
      publicKey: Uint8Array
      discoveryKey: Uint8Array
    }
    readonly swarm: Hyperswarm
    constructor(swarm: Hyperswarm)
    addMember(options: { discoveryKey: Uint8Array; onadd: (candidate: Candidate) => Promise<void> }): Member
    addCandidate(options: { invite: Uint8Array; userData: Uint8Array; onadd: () => Promise<void> }): {
      readonly pairing: Promise<unknown>
    }
    close(): Promise<void>
  }
}
