import type { Connection } from '@libp2p/interface'
import type { PairingProgress } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import type { Host } from '../network/host.ts'
import { otherVersionsTold } from '../network/told-versions.ts'
import { OtherVersionError, sideToUpdate } from '../other-version.ts'
import { pairingVersion } from '../pairing/messages.ts'
import { recordVersion } from '../pairing/rendezvous-record.ts'
import { pairingProtocol } from './pairing.ts'

type Met = Extract<PairingProgress, { kind: 'other-version' }>

/** Anybody can tell any version, and more than this says nothing new to a person. */
const maxMet = 8

export interface VersionWatchOptions {
  host: Pick<Host, 'libp2p' | 'toldProtocols' | 'onIdentified'>
  /** Once for each version. */
  onMet: (met: Met) => void
}

/**
 * While a pairing waits for the other device: looks whether somebody is there whose program speaks another version, and so
 * cannot answer, whichever of the two shows the code.
 */
export class VersionWatch {
  readonly #options: VersionWatchOptions
  readonly #met: Met[] = []
  readonly #stopListening: () => void

  constructor(options: VersionWatchOptions) {
    const { host } = options
    this.#options = options
    this.#stopListening = host.onIdentified((connection) => this.#identified(connection))
    for (const connection of host.libp2p.getConnections()) this.#identified(connection)
  }

  /** A record that only a holder of the words can have written is one of this version. */
  metRecord(version: number): void {
    this.#note({ kind: 'other-version', part: 'records', theirs: version, ours: recordVersion })
  }

  /** What a pairing that has come to nothing is told instead of that nobody was there; null when there is nothing to tell. */
  failure(role: 'initiator' | 'joiner'): SpacedockError | null {
    const [met] = this.#met.toSorted((one, other) => certainty(other) - certainty(one))
    if (met === undefined) return null
    const { part, theirs, ours } = met
    if (part === 'records') return new OtherVersionError(part, [theirs], [ours])
    const nobody =
      role === 'joiner' ? 'No device that shows this code was found' : 'No device has used the code'
    const which = sideToUpdate([theirs], [ours]) === 'here' ? 'this device' : 'that device'
    return new SpacedockError(
      'other-version',
      `${nobody}, but one is there that speaks version ${theirs} of pairing, while this one speaks version ${ours}.`,
      { hint: `If it is the other one, update Spacedock on ${which}.` },
    )
  }

  stop(): void {
    this.#stopListening()
  }

  #identified({ remotePeer }: Connection): void {
    for (const theirs of otherVersionsTold(this.#options.host.toldProtocols(remotePeer), pairingProtocol)) {
      this.#note({ kind: 'other-version', part: 'pairing', theirs, ours: pairingVersion })
    }
  }

  #note(met: Met): void {
    const isKnown = this.#met.some(({ part, theirs }) => part === met.part && theirs === met.theirs)
    if (isKnown || this.#met.length >= maxMet) return
    this.#met.push(met)
    this.#options.onMet(met)
  }
}

/** A record can only be of the other device; whoever else is there may have nothing to do with it. Of those, the newest. */
function certainty({ part, theirs }: Met): number {
  return part === 'records' ? Number.POSITIVE_INFINITY : theirs
}
