import type { Connection } from '@libp2p/interface'
import type { PairingProgress } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { privateDhtProtocol, privateDhtVersion } from '../network/dht/dht-protocols.ts'
import type { Host } from '../network/host/host.ts'
import { OtherVersionError, otherVersionsTold, sideToUpdate } from '../other-version.ts'
import { pairingVersion } from '../pairing/pairing-messages.ts'
import { recordVersion } from '../pairing/record-version.ts'
import type { PairingObserver } from './pairing-components.ts'
import { pairingProtocol } from './pairing-exchanges.ts'
import { peerIdOf } from '../libp2p-peer.ts'

type WatchedHost = Pick<Host, 'libp2p' | 'toldProtocols' | 'onIdentified'>
type Met = Extract<PairingProgress, { kind: 'other-version' }>

/** Number of versions told: anybody can name any version, and more than this says nothing new to a person. */
const maxMet = 8

/**
 * Looks, while a pairing waits for the other device, whether somebody is there whose program speaks another version, and so
 * cannot answer, whichever of the two shows the code.
 */
export class VersionWatch {
  readonly #host: WatchedHost
  readonly #observer: Pick<PairingObserver, 'progress'>
  readonly #met: Met[] = []
  readonly #stopListening: () => void

  /** @param observer is told of each version once */
  constructor(host: WatchedHost, observer: Pick<PairingObserver, 'progress'>) {
    this.#host = host
    this.#observer = observer
    this.#stopListening = host.onIdentified((connection) => this.#identified(connection))
    for (const connection of host.libp2p.getConnections()) this.#identified(connection)
  }

  /** A record that only a holder of the words can have written is one of this version. */
  metRecord(version: number): void {
    this.#note({ kind: 'other-version', part: 'records', theirs: version, ours: recordVersion })
  }

  /** Error of a pairing that has come to nothing, instead of that nobody was there; null when there is nothing to tell. */
  failure(role: 'initiator' | 'joiner'): SpacedockError | null {
    const met = ['records', 'pairing', 'rendezvous'].flatMap((part) => this.#newest(part))[0]
    if (met === undefined) return null
    const { part, theirs, ours } = met
    if (part === 'records') return new OtherVersionError(part, [theirs], [ours])
    const nobody =
      role === 'joiner' ? 'No device that shows this code was found' : 'No device has used the code'
    const side = sideToUpdate([theirs], [ours])
    if (part === 'rendezvous') {
      const what = `the rendezvous node speaks version ${theirs} of its DHT, and this device version ${ours}`
      const hint = `Update Spacedock on ${side === 'here' ? 'this device' : 'the rendezvous node'}.`
      return new SpacedockError('other-version', `${nobody}, and ${what}.`, { hint })
    }
    return new SpacedockError(
      'other-version',
      `${nobody}, but one is there that speaks version ${theirs} of pairing, while this one speaks version ${ours}.`,
      {
        hint: `If it is the other one, update Spacedock on ${side === 'here' ? 'this device' : 'that device'}.`,
      },
    )
  }

  stop(): void {
    this.#stopListening()
  }

  #identified({ remotePeer }: Connection): void {
    const told = this.#host.toldProtocols(peerIdOf(remotePeer))
    for (const theirs of otherVersionsTold(told, pairingProtocol))
      this.#note({ kind: 'other-version', part: 'pairing', theirs, ours: pairingVersion })
    // No device serves it.
    for (const theirs of otherVersionsTold(told, privateDhtProtocol))
      this.#note({ kind: 'other-version', part: 'rendezvous', theirs, ours: privateDhtVersion })
  }

  #newest(part: string): Met[] {
    return this.#met.filter((met) => met.part === part).toSorted((one, other) => other.theirs - one.theirs)
  }

  #note(met: Met): void {
    const isKnown = this.#met.some(({ part, theirs }) => part === met.part && theirs === met.theirs)
    if (isKnown || this.#met.length >= maxMet) return
    this.#met.push(met)
    this.#observer.progress(met)
  }
}
