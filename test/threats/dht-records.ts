import { randomBytes } from 'node:crypto'
import { base64urlnopad } from '@scure/base'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { createIPNSRecordWithExpiration, marshalIPNSRecord } from 'ipns'
import { fields } from '../../src/pairing/fields.ts'
import {
  encodeAddressRecord,
  recordRoutingKey,
  type AddressRecordContent,
  type AddressRecordKeys,
} from '../../src/pairing/address-record.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { createRendezvousServer, type RendezvousServer } from '../../src/network/relay/rendezvous-server.ts'
import { keysOf } from './by-hand.ts'
import type { Scene } from './scene.ts'

/** Records as an honest device would not write them. */

export function recordKeysOf(words: string): AddressRecordKeys {
  const { signingKey, recordKey } = keysOf(words)
  return { signingSeed: signingKey, recordKey }
}

export const routingKeyOf = recordRoutingKey

/** As a holder of the keys writes it. */
export async function honestRecord(
  keys: AddressRecordKeys,
  content: AddressRecordContent,
  sequence: bigint,
): Promise<Uint8Array> {
  return encodeAddressRecord(suite1, keys, content, {
    sequence,
    validUntil: tomorrow(),
    nonce: new Uint8Array(randomBytes(32)),
  })
}

/** Sealed right, signed right, and with as many addresses as one likes. */
export async function oversizedRecord(
  keys: AddressRecordKeys,
  content: AddressRecordContent,
  sequence: bigint,
): Promise<Uint8Array> {
  const nonce = new Uint8Array(randomBytes(32))
  const key = suite1.expand(keys.recordKey, fields('rendezvous-record', nonce), 32)
  const plaintext = new TextEncoder().encode(JSON.stringify(content))
  const sealed = suite1.seal(key, plaintext, fields('rendezvous-record', sequence.toString()))
  return signedValue(keys, Buffer.concat([Uint8Array.of(1), nonce, sealed]), sequence)
}

/** Signed right, and not sealed at all: the content stands where the sealed one should. */
export async function unsealedRecord(
  keys: AddressRecordKeys,
  content: AddressRecordContent,
  sequence: bigint,
): Promise<Uint8Array> {
  const bytes = Buffer.alloc(1 + 32 + 1_024 + 16, 0x20)
  bytes[0] = 1
  bytes.write(JSON.stringify(content), 33)
  return signedValue(keys, bytes, sequence)
}

async function signedValue(
  keys: AddressRecordKeys,
  bytes: Uint8Array,
  sequence: bigint,
): Promise<Uint8Array> {
  const privateKey = await generateKeyPairFromSeed('Ed25519', keys.signingSeed)
  const value = `/${base64urlnopad.encode(Uint8Array.from(bytes))}`
  const options = { v1Compatible: false, ttlNs: 60_000_000_000n }
  return marshalIPNSRecord(
    await createIPNSRecordWithExpiration(privateKey, value, sequence, tomorrow(), options),
  )
}

function tomorrow(): string {
  return new Date(Date.now() + 24 * 3_600_000).toISOString()
}

/** A real one, on the loopback interface, and where it is reached. */
export async function rendezvousServer(scene: Scene): Promise<{ server: RendezvousServer; address: string }> {
  const server = await createRendezvousServer({
    seed: new Uint8Array(randomBytes(32)),
    port: 0,
    interfaces: ['lo'],
    agent: 'spacedock-rendezvous/threats',
  })
  scene.after(() => server.stop())
  const address = server.addresses().find((each) => each.startsWith('/ip4/127.'))
  if (address === undefined) throw new Error('the server does not listen on the loopback interface')
  return { server, address }
}
