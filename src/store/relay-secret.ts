import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { base64urlnopad } from '@scure/base'
import { SpacedockError } from '../errors.ts'
import { checkPrivateFile, stageFile } from './data-directory.ts'

const fileName = 'relay-secret'
const secretLength = 16

/**
 * The secret of a rendezvous node's relay, 16 bytes, in a file of its own beside the identity; made when there is none, so whoever
 * deletes the file gets another one. Errors: `identity-damaged`, `directory-unusable`, `disk-full`.
 */
export function loadOrCreateRelaySecret(dataDir: string): Uint8Array {
  const path = join(dataDir, fileName)
  if (checkPrivateFile(path)) return decode(readFileSync(path, 'utf8'), path)
  const secret = new Uint8Array(randomBytes(secretLength))
  stageFile(path, new TextEncoder().encode(`${base64urlnopad.encode(secret)}\n`)).publish()
  return secret
}

function decode(text: string, path: string): Uint8Array {
  try {
    const secret = base64urlnopad.decode(text.trim())
    if (secret.length === secretLength) return secret
  } catch {
    // Said below.
  }
  throw new SpacedockError('identity-damaged', `${path} holds no secret of a relay.`, {
    hint: 'Put it back from a backup, or delete it: the node then makes another one, which every device has to be given.',
  })
}
