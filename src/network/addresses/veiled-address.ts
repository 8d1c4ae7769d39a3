import { base64urlnopad } from '@scure/base'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'

/** Relayed address of a device whose identity the relay does not learn. PROTOCOL.md, 'Veiled addresses'. */
export interface VeiledAddress {
  /** `/ip4/20.3.4.5/tcp/4001/p2p/RELAY/p2p-circuit/p2p/THROWAWAY` */
  circuit: Multiaddr
  /** Key of 32 bytes, known only to peers that may know whose address it is. */
  key: Uint8Array
}

/** Formats `CIRCUIT/certhash/KEY`: the key as an identity multihash in multibase. */
export function formatVeiledAddress({ circuit, key }: VeiledAddress): string {
  return `${circuit.toString()}/certhash/u${base64urlnopad.encode(Uint8Array.of(...identityMultihash, ...key))}`
}

/** Parses a veiled address, with or without the device's own peer id behind it; null for another address. */
export function parseVeiledAddress(address: Multiaddr): (VeiledAddress & { peer: string | null }) | null {
  const components = address.getComponents()
  const form = components.map(({ name }) => name).join('/')
  const parts = /^((?:ip4|ip6|dns|dns4|dns6)\/tcp\/p2p\/p2p-circuit\/p2p)\/certhash(\/p2p)?$/u.exec(form)
  if (parts === null) return null
  const key = parseKey(components[5]?.value ?? '')
  if (key === null) return null
  const circuit = multiaddr(address.toString().replace(/\/certhash\/.*$/u, ''))
  return { circuit, key, peer: components[6]?.value ?? null }
}

/** Whether a connection to here goes to a throwaway host over a relay; its address shows no key. */
export function isVeiled(address: Multiaddr): boolean {
  return /\/p2p-circuit\/p2p\/[^/]+\/(?:certhash|p2p)\//u.test(address.toString())
}

/** Prefix of an identity multihash: code 0, 32 bytes. https://github.com/multiformats/multihash */
const identityMultihash = [0x00, 0x20]
const keyLength = 32

function parseKey(text: string): Uint8Array | null {
  try {
    const bytes = base64urlnopad.decode(text.slice(1))
    const isKey = text.startsWith('u') && identityMultihash.every((byte, index) => bytes[index] === byte)
    return isKey && bytes.length === identityMultihash.length + keyLength
      ? bytes.slice(identityMultihash.length)
      : null
  } catch {
    return null
  }
}
