/** The part of hyperdht that the benchmark uses: it brings no types. */
declare module 'hyperdht' {
  export interface KeyPair {
    publicKey: Uint8Array
    secretKey: Uint8Array
  }
  export default class DHT {
    static keyPair(seed?: Uint8Array): KeyPair
    readonly stats: { requests: { total: number } }
    fullyBootstrapped(): Promise<void>
    mutablePut(keyPair: KeyPair, value: Uint8Array): Promise<{ closestNodes: unknown[] }>
    mutableGet(publicKey: Uint8Array, options?: { latest?: boolean }): Promise<{ seq: number } | null>
    destroy(): Promise<void>
  }
}

declare module 'hyperdht/testnet.js' {
  import type DHT from 'hyperdht'
  export default function createTestnet(
    size: number,
  ): Promise<{ createNode(): DHT; destroy(): Promise<void> }>
}
