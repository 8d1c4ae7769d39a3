import type { Clock, Log } from '../api.ts'
import { pause } from '../clock.ts'
import type { CandidateSource } from '../network/discovery/candidate-sources.ts'
import { connectedPeers } from '../network/discovery/connected-peers.ts'
import { fewPeers } from '../network/discovery/few-peers.ts'
import type { LocalDiscovery } from '../network/discovery/local-network.ts'
import type { Host } from '../network/host/host.ts'
import type { MarkedPairing } from '../pairing/announcement-mark.ts'
import type { CodeKeys } from '../pairing/key-schedule.ts'
import { peerIdOf } from '../libp2p-peer.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import type { AddressRecordKeys } from '../pairing/address-record.ts'
import type { Outreach } from '../protocols/outreach.ts'
import type { Internet } from './internet.ts'
import type { PairingReporter } from './pairing-reporter.ts'

export interface PairingSearchParts {
  host: Host
  /** Null when multicast DNS is switched off. */
  localNetwork: LocalDiscovery | null
  /** Null when nothing but the local network is used. */
  internet: Internet | null
  outreach: Outreach
  clock: Clock
  log: Log
}

/** Code of one pairing, the devices at addresses that a person gave, and the one who is told how it goes. */
export interface SearchedPairing {
  keys: CodeKeys
  given: CandidateSource
  reporter: PairingReporter
}

/**
 * Number of devices on which the words of one code are typed, as far as they say so in the DHT: all that they name may be dialled
 * at once.
 */
const maxJoiners = 3
const announceEveryMs = 1_000

/** Ways by which the two devices of one code find each other, whichever of the two can reach the other. */
export class PairingSearch {
  readonly #parts: PairingSearchParts
  readonly #pairing: SearchedPairing

  constructor(parts: PairingSearchParts, pairing: SearchedPairing) {
    this.#parts = parts
    this.#pairing = pairing
  }

  /** Lets joiners find this device, which shows the code, and connects to those that it sees, until the signal aborts. */
  showCode(signal: AbortSignal): void {
    const { localNetwork, internet, outreach } = this.#parts
    const { keys, given, reporter } = this.#pairing
    const marked: MarkedPairing = { key: keys.announcementKey, role: 'initiator' }
    // A joiner that started earlier hears this and asks at once.
    localNetwork?.mark(marked, signal)
    outreach.open(
      [
        given,
        ...(localNetwork === null ? [] : [localNetwork.source(marked)]),
        ...(internet === null ? [] : [this.#joiners(internet)]),
      ],
      signal,
    )
    internet?.codeRecords
      .publish(initiatorRecordKeys(keys), {
        signal,
        onStatus: (status, detail) =>
          reporter.progress({ kind: 'source', source: 'internet', status, detail }),
      })
      .catch((error: unknown) => this.#defect(error))
  }

  /**
   * Lets the initiator find this device, on which the code was typed, until the signal aborts, and returns the sources that may
   * know the initiator.
   */
  useCode(signal: AbortSignal): CandidateSource[] {
    const { host, localNetwork, internet } = this.#parts
    const marked: MarkedPairing = { key: this.#pairing.keys.announcementKey, role: 'joiner' }
    localNetwork?.mark(marked, signal)
    void this.#stayVisible(signal)
    this.#leaveRecord(signal)
    return [
      connectedPeers(
        host.libp2p,
        (peer) => internet?.nodes.has(peer) === true,
        (host.tls?.connections() ?? []).map(({ remotePeer }) => peerIdOf(remotePeer)),
      ),
      this.#pairing.given,
      ...(localNetwork === null ? [] : [localNetwork.source(marked)]),
      ...(internet === null ? [] : [this.#initiators(internet)]),
    ]
  }

  /** Returns the joiners of the code by their records, until one of them has shown that it has the words. */
  #joiners({ codeRecords }: Internet): CandidateSource {
    const { keys, reporter } = this.#pairing
    const records = codeRecords.source(joinerRecordKeys(keys), {
      awaits: 'joiner',
      onOtherVersion: (version) => reporter.metRecord(version),
    })
    const source = fewPeers(records, maxJoiners)
    return {
      name: source.name,
      find: async (search) =>
        source.find({ ...search, signal: AbortSignal.any([search.signal, reporter.contact]) }),
    }
  }

  #initiators({ codeRecords }: Internet): CandidateSource {
    const { keys, reporter } = this.#pairing
    const records = codeRecords.source(initiatorRecordKeys(keys), {
      awaits: 'initiator',
      onOtherVersion: (version) => reporter.metRecord(version),
    })
    return noting(records, reporter.published)
  }

  /** Announces once a second: a joiner that cannot get to the initiator is reached by it, and known to be looking. */
  async #stayVisible(signal: AbortSignal): Promise<void> {
    const { localNetwork, clock } = this.#parts
    while (!signal.aborted) {
      localNetwork?.announce()
      await pause(clock, announceEveryMs, signal)
    }
  }

  /**
   * Leaves the record by which the initiator, behind its NAT or firewall, finds the joiner. An earlier attempt with the same words
   * may have left one.
   */
  #leaveRecord(signal: AbortSignal): void {
    this.#parts.internet?.codeRecords
      .publish(joinerRecordKeys(this.#pairing.keys), { signal, mayExist: true, onStatus: () => {} })
      .catch((error: unknown) => this.#defect(error))
  }

  #defect(error: unknown): void {
    this.#parts.log('error', 'dht.defect', { error: String(error) })
  }
}

/** Returns the same source, with a memory of the peers that it has found. */
function noting(source: CandidateSource, found: Set<PeerId>): CandidateSource {
  return {
    name: source.name,
    find: async (search) =>
      source.find({
        ...search,
        onCandidate(candidate) {
          found.add(candidate.peer)
          search.onCandidate(candidate)
        },
      }),
  }
}

function initiatorRecordKeys({ signingKey, recordKey }: CodeKeys): AddressRecordKeys {
  return { signingSeed: signingKey, recordKey }
}

function joinerRecordKeys({ joinerSigningKey, joinerRecordKey }: CodeKeys): AddressRecordKeys {
  return { signingSeed: joinerSigningKey, recordKey: joinerRecordKey }
}
