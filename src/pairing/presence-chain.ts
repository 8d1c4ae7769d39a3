import { blindedPublicKey, blindedSigner } from './blinded-key.ts'
import { ed25519PublicKey } from './curve25519.ts'
import { fields } from './fields.ts'
import type { BlindedKeys } from './address-record.ts'
import type { Suite } from './suite.ts'

/**
 * Key of one direction of a pair's records in one epoch. That of the next epoch follows from it, and no earlier one does: who
 * copies it, once the old ones are forgotten, learns nothing of where the device was. PROTOCOL.md, "Presence".
 */
export interface PresenceChain {
  epoch: number
  /** 32 bytes. */
  key: Uint8Array
}

/** Chain of a device's own records, and the seed of 32 bytes with which it alone signs them. */
export interface OwnPresence extends PresenceChain {
  seed: Uint8Array
}

/** Chain of the other device's records, and the public key, 32 bytes, by which they are known. */
export interface OthersPresence extends PresenceChain {
  publicKey: Uint8Array
}

/** Most epochs that a chain is moved at once: eleven years. A clock that is further off is wrong. */
const maxSteps = 16_384

/** Returns the chain of that epoch; null when it is past, or too far ahead. */
export function chainAt<Chain extends PresenceChain>(
  suite: Pick<Suite, 'expand'>,
  chain: Chain,
  epoch: number,
): Chain | null {
  const steps = epoch - chain.epoch
  if (!Number.isSafeInteger(steps) || steps < 0 || steps > maxSteps) return null
  let { key } = chain
  for (let step = 0; step < steps; step++) key = suite.expand(key, fields('presence-next'), 32)
  return { ...chain, epoch, key }
}

/** Returns the keys with which the device writes its record in the chain's epoch. */
export function presenceWriterKeys(suite: Pick<Suite, 'expand'>, { key, seed }: OwnPresence): BlindedKeys {
  const signer = blindedSigner(seed, blindingOf(suite, key))
  return { publicKey: signer.publicKey, signer, recordKey: recordKeyOf(suite, key) }
}

/** Returns the keys with which the other device reads it. */
export function presenceReaderKeys(
  suite: Pick<Suite, 'expand'>,
  { key, publicKey }: OthersPresence,
): BlindedKeys {
  const blinded = blindedPublicKey(publicKey, blindingOf(suite, key))
  return { publicKey: blinded, signer: null, recordKey: recordKeyOf(suite, key) }
}

/** Returns what the other device is told of a device's own chain. */
export function toldPresence({ epoch, key, seed }: OwnPresence): OthersPresence {
  return { epoch, key, publicKey: ed25519PublicKey(seed) }
}

function blindingOf(suite: Pick<Suite, 'expand'>, key: Uint8Array): Uint8Array {
  return suite.expand(key, fields('presence-blinding'), 64)
}

function recordKeyOf(suite: Pick<Suite, 'expand'>, key: Uint8Array): Uint8Array {
  return suite.expand(key, fields('presence-record-key'), 32)
}
