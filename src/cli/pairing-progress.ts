import type { PairingProgress } from '../api.ts'
import { printableLine } from '../daemon/printable.ts'
import { describeFinding } from '../finding-text.ts'
import { groupDigits } from './code-screen.ts'
import type { Confirming } from './confirmation.ts'
import type { Output } from './output.ts'

const sourceNames = {
  'local-network': 'local network',
  internet: 'internet',
  'connected-peers': 'connected devices',
  addresses: 'addresses given',
} as const

/**
 * Tells how a pairing goes on; `otherWay` is what to do when the devices cannot find each other on the local network. A person who
 * is to type the digits of the other screen does not see them on this one.
 */
export function showProgress(
  progress: PairingProgress,
  output: Output,
  { asked, otherWay, place }: { asked: Confirming['whom']; otherWay: string; place: 'pair' | 'join' },
): void {
  switch (progress.kind) {
    case 'source': {
      const { source, status, detail } = progress
      const state = status === 'ready' ? 'open' : 'not available'
      const text = `  ${sourceNames[source]}: ${state} (${printableLine(detail)})`
      output.progress({ event: 'source', source, status }, text)
      if (source === 'local-network' && status === 'unavailable')
        output.progress({ event: 'advice' }, `  ${otherWay}`)
      return
    }
    case 'obstacle': {
      const { message, hint } = describeFinding(progress.finding, place)
      const text = `${printableLine(message)}\n${printableLine(hint)}`
      return output.progress({ event: 'obstacle', ...progress.finding }, text)
    }
    case 'other-version': {
      const { part, theirs, ours } = progress
      const update = `update Spacedock on ${theirs > ours ? 'this device' : 'that one'}`
      const text = {
        records: `The other device speaks version ${theirs} of records, and this one version ${ours}: ${update}.`,
        pairing: `A device is here that speaks version ${theirs} of pairing, and this one version ${ours}. If it is the other one, ${update}.`,
        rendezvous: `The rendezvous node speaks version ${theirs} of its DHT, and this device version ${ours}: ${update}.`,
      }
      return output.progress({ event: 'other-version', part, theirs, ours }, text[part])
    }
    case 'contact':
      return output.progress({ event: 'contact' }, 'The other device is there.')
    case 'digits': {
      const { digits } = progress
      if (place === 'pair' && asked === 'person') return
      const text =
        place === 'join'
          ? `Type ${groupDigits(digits)} on the other device when it asks.`
          : `Check: ${groupDigits(digits)} on both screens.`
      return output.question({ event: 'digits', digits }, text)
    }
    case 'waiting':
      return output.progress({ event: 'waiting' }, 'Waiting for the person at the other device ...')
  }
}
