import type { PeerId } from '../src/pairing/peer-id.ts'

/** Takes a text for a peer id, as tests do in which nobody asks what is in it. */
export function asPeer(text: string): PeerId {
  return text as PeerId
}
