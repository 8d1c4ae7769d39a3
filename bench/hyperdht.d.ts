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
