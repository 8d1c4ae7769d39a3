import type { PairingMessage } from '../../src/pairing/pairing-messages.ts'
import type { MachineEvent } from './machines.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/** One message under way. An `ask` wants an answer, a `tell` does not. */
export interface Flight {
  kind: 'ask' | 'answer' | 'tell'
  from: PeerId
  to: PeerId
  message: PairingMessage
}

/** The event that a message is to the machine it reaches; null where the shell resets the exchange. */
export function arrivalOf({ kind, from, message }: Flight): MachineEvent | null {
  if (kind === 'answer') return { type: 'answered', peer: from, message }
  switch (message.type) {
    case 'PairingRequest':
      return { type: 'request', peer: from, message, fresh: { nonce: none, secret: none } }
    case 'Response':
      return { type: 'response', peer: from, message }
    case 'Confirmed':
      return { type: 'confirmed', peer: from, message }
    case 'Cancel':
      return { type: 'cancel-received', peer: from, message }
    case 'Challenge':
    case 'Waiting':
    case 'Complete':
    case 'Refused':
    case 'Acknowledged':
      return null
  }
}

/** The model adds the randomness when the event is delivered. */
const none = new Uint8Array()
