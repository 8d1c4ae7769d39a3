import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { sha256 } from '@noble/hashes/sha2.js'
import * as v from 'valibot'
import { SpacedockError } from '../errors.ts'
import { checkPrivateFile, stageFile, type StagedFile } from './data-directory.ts'
import { databaseFileName } from './database.ts'
import { toStorageError } from './storage-error.ts'
import { ed25519PublicKey } from '../pairing/curve25519.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerIdOf } from '../libp2p-peer.ts'

const identityFileName = 'identity.json'
const maximumFileBytes = 1024

export interface Identity {
  /** The Ed25519 private key's 32-byte seed (RFC 8032). */
  readonly seed: Uint8Array
  /** The libp2p peer id that follows from the seed. */
  readonly peerId: PeerId
  /** The lowest generation of the trust registry that may be believed; 0 while there has never been a registry. */
  readonly registryGeneration: number
  /** Gets a higher generation ready; `publish` makes it the one that counts. */
  stageGeneration(generation: number): StagedFile
}

/**
 * The identity in `identity.json`, made when neither it nor a database exists. Every byte of the file counts: it must
 * equal what this version would write for the same content. Call it with the directory's lock held.
 *
 * Errors: `identity-damaged` (also for a file that went missing beside a database: a new identity would silently lose
 * every pairing), `directory-unusable`, `disk-full`.
 */
export function loadOrCreateIdentity(dataDir: string): Identity {
  const path = join(dataDir, identityFileName)
  const loaded = checkPrivateFile(path) ? readIdentityFile(path) : undefined
  if (loaded === undefined && existsSync(join(dataDir, databaseFileName))) {
    throw damaged(path, 'is missing, though the database of its pairings is there')
  }
  const content = loaded ?? { seed: new Uint8Array(randomBytes(32)), registryGeneration: 0 }
  if (loaded === undefined) stageFile(path, encodeIdentity(content)).publish()
  return identityOf(content, (next) => stageFile(path, encodeIdentity(next)))
}

/** An identity that is kept nowhere, for a store in memory. */
export function memoryIdentity(seed: Uint8Array): Identity {
  return identityOf({ seed: Uint8Array.from(seed), registryGeneration: 0 }, () => ({
    publish: () => undefined,
    discard: () => undefined,
  }))
}

interface IdentityContent {
  seed: Uint8Array
  registryGeneration: number
}

function identityOf(content: IdentityContent, stage: (next: IdentityContent) => StagedFile): Identity {
  const { seed } = content
  let { registryGeneration } = content
  return {
    seed,
    peerId: peerIdOf(peerIdFromPublicKey(publicKeyFromRaw(ed25519PublicKey(seed)))),
    get registryGeneration() {
      return registryGeneration
    },
    stageGeneration(generation) {
      const staged = stage({ seed, registryGeneration: generation })
      return {
        publish() {
          staged.publish()
          registryGeneration = generation
        },
        discard: () => staged.discard(),
      }
    },
  }
}

const fileSchema = v.strictObject({
  format: v.literal(1),
  seed: v.pipe(v.string(), v.regex(/^[\w-]{43}$/)),
  registryGeneration: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  checksum: v.string(),
})

function readIdentityFile(path: string): IdentityContent {
  let bytes
  try {
    if (statSync(path).size > maximumFileBytes) throw damaged(path, 'is far too long')
    bytes = readFileSync(path)
  } catch (error) {
    throw toStorageError(error, dirname(path))
  }
  let fields
  try {
    fields = v.parse(fileSchema, JSON.parse(bytes.toString('utf8')))
  } catch {
    // No cause: a parser's message may quote the seed.
    throw damaged(path, 'does not hold an identity that this version can read')
  }
  const content = {
    seed: new Uint8Array(Buffer.from(fields.seed, 'base64url')),
    registryGeneration: fields.registryGeneration,
  }
  if (!bytes.equals(encodeIdentity(content)))
    throw damaged(path, 'was changed by somebody else or by a disk error')
  return content
}

function encodeIdentity({ seed, registryGeneration }: IdentityContent): Uint8Array {
  const encodedSeed = Buffer.from(seed).toString('base64url')
  const summed = `spacedock/identity/1\n${encodedSeed}\n${registryGeneration}\n`
  const checksum = Buffer.from(sha256(Buffer.from(summed)).subarray(0, 16)).toString('base64url')
  return Buffer.from(`${JSON.stringify({ format: 1, seed: encodedSeed, registryGeneration, checksum })}\n`)
}

function damaged(path: string, what: string): SpacedockError {
  return new SpacedockError('identity-damaged', `The identity file ${path} ${what}.`, {
    hint:
      'Put the whole directory back from its newest backup, or move it away and pair your devices again: ' +
      'this device will then be a new one to them.',
  })
}
