import type {
  Clock,
  Device,
  Invitation,
  JoinOptions,
  Log,
  NodeEvents,
  PairingProgress,
  PairOptions,
  ReachFinding,
} from '../api.ts'
import { pause } from '../clock.ts'
import { SpacedockError } from '../errors.ts'
import { checkOptions, type OptionNames } from '../known-options.ts'
import type { DialEvidence } from '../network/reachability/dial-evidence.ts'
import { addressesToPublish } from '../network/addresses/address-filter.ts'
import { connectedPeers } from '../network/discovery/connected-peers.ts'
import { fewPeers } from '../network/discovery/few-peers.ts'
import { parsePeerAddress } from '../network/addresses/peer-address.ts'
import { givenAddresses } from '../network/discovery/given-addresses.ts'
import type { LocalDiscovery } from '../network/discovery/local-network.ts'
import type { CandidateSource } from '../network/discovery/candidate-sources.ts'
import type { Host } from '../network/host/host.ts'
import type { MarkedPairing } from '../pairing/announcement-mark.ts'
import { deriveCodeKeys, type CodeKeys } from '../pairing/key-schedule.ts'
import type { RendezvousKeys } from '../pairing/rendezvous-record.ts'
import { formatPairingUri, parseInvitationText } from '../pairing/pairing-uri.ts'
import { suite1 } from '../pairing/suite.ts'
import { sessionIdOf } from '../protocols/machine-run.ts'
import { ObstacleWatch } from '../protocols/obstacle-watch.ts'
import { VersionWatch } from '../protocols/version-watch.ts'
import type { Outreach } from '../protocols/outreach.ts'
import type { PairingService } from '../protocols/pairing.ts'
import type { Internet } from './internet.ts'
import type { PeerId } from '../pairing/peer-id.ts'

export interface PairingsParts {
  pairing: PairingService
  host: Host
  /** Null when multicast DNS is switched off. */
  localNetwork: LocalDiscovery | null
  /** Null when nothing but the local network is used. */
  internet: Internet | null
  evidence: DialEvidence
  outreach: Outreach
  clock: Clock
  /** Returns the name of a device that is known here; null for others. */
  nameOf: (peer: PeerId) => string | null
  log: Log
  deviceOf: (peer: PeerId) => Device
  emit: <K extends keyof NodeEvents>(type: K, detail: NodeEvents[K]) => void
  /** `outcome`: `paired`, or the code of the error. */
  onEnded: (role: Role, outcome: string) => void
}

type Role = 'initiator' | 'joiner'

const searchTimeoutMs = 300_000
/** Number of addresses in the URI: a QR code with more is hard to scan. */
const maxUriAddresses = 3
/**
 * Number of devices on which the words of one code are typed, as far as they say so in the DHT: all that they name may be dialled
 * at once.
 */
const maxJoiners = 3

const pairOptionNames: OptionNames<PairOptions> = {
  confirm: true,
  signal: true,
  onProgress: true,
  peers: true,
}
const joinOptionNames: OptionNames<JoinOptions> = { ...pairOptionNames, timeoutMs: true }

/** Shows a new code. */
export async function pair(parts: PairingsParts, options: PairOptions): Promise<Invitation> {
  checkOptions(options, pairOptionNames, 'pair')
  options.signal?.throwIfAborted()
  const { pairing, localNetwork, internet, host, deviceOf, outreach, log } = parts
  const given = givenAddresses(options.peers ?? [])
  const contact = new AbortController()
  const report = (progress: PairingProgress): void => {
    if (progress.kind === 'contact') contact.abort()
    reporter.report(progress)
  }
  const { words, keys, expiresAtMs, runner } = pairing.invite({
    ...options,
    onProgress: report,
    obstacle: () => reporter.obstacle(),
    otherVersion: () => reporter.versions.failure('initiator'),
  })
  const sessionId = sessionIdOf(keys)
  const reporter = progressReporter(parts, 'initiator', sessionId, options)
  const onOtherVersion = (version: number): void => reporter.versions.metRecord(version)
  const publishing = new AbortController()
  const marked: MarkedPairing = { key: keys.announcementKey, role: 'initiator' }
  // A joiner that started earlier hears this and asks at once.
  localNetwork?.mark(marked, publishing.signal)
  outreach.open(
    [
      given,
      ...(localNetwork === null ? [] : [localNetwork.source(marked)]),
      ...(internet === null ? [] : [joiners(internet, keys, { contact: contact.signal, onOtherVersion })]),
    ],
    publishing.signal,
  )
  internet?.rendezvous
    .publish(rendezvousKeys(keys), {
      signal: publishing.signal,
      onStatus: (status, detail) => report({ kind: 'source', source: 'internet', status, detail }),
    })
    .catch((error: unknown) => log('error', 'dht.defect', { error: String(error) }))

  const paired = runner.paired.then(deviceOf)
  // A caller of `paired` gets the error; when there is none, it is an event and not the end of the process.
  paired
    .then(
      () => reporter.paired(),
      (error: unknown) => reporter.failed(error),
    )
    .finally(() => {
      publishing.abort()
      reporter.stop()
    })
  return {
    words,
    uri: formatPairingUri(words, addressesToShow(host)),
    sessionId,
    expiresAt: new Date(expiresAtMs),
    paired,
    cancel: () => runner.cancel(),
  }
}

/** Uses a code. */
export async function join(parts: PairingsParts, text: string, options: JoinOptions): Promise<Device> {
  checkOptions(options, joinOptionNames, 'join')
  options.signal?.throwIfAborted()
  const { pairing, host, localNetwork, internet, deviceOf } = parts
  const { code, addresses } = parseInvitationText(text)
  if (!code.ok) throw new SpacedockError('invalid-code', code.message, { hint: code.hint })
  const peers = [...(options.peers ?? []), ...addresses.filter(isPeerAddress)]
  const given = givenAddresses(peers)
  const published = new Set<PeerId>()
  const keys = deriveCodeKeys(suite1, code.entropy)
  if (pairing.shows(keys)) {
    throw new SpacedockError('invalid-argument', 'This code is shown by this device itself.', {
      hint: 'Type the words on the device that this one shall be paired with.',
    })
  }
  const reporter = progressReporter(parts, 'joiner', sessionIdOf(keys), { ...options, peers, published })
  const onOtherVersion = (version: number): void => reporter.versions.metRecord(version)
  const looking = new AbortController()
  const marked: MarkedPairing = { key: keys.announcementKey, role: 'joiner' }
  localNetwork?.mark(marked, looking.signal)
  void stayVisible(parts, looking.signal)
  leaveRecord(parts, keys, looking.signal)
  try {
    const { peer } = await pairing.join(code.entropy, {
      ...options,
      sources: [
        connectedPeers(host.libp2p, (peer) => internet?.nodes.has(peer) === true),
        given,
        ...(localNetwork === null ? [] : [localNetwork.source(marked)]),
        ...(internet === null
          ? []
          : [
              noting(
                internet.rendezvous.source(rendezvousKeys(keys), { awaits: 'initiator', onOtherVersion }),
                published,
              ),
            ]),
      ],
      timeoutMs: options.timeoutMs ?? searchTimeoutMs,
      onProgress: (progress) => reporter.report(progress),
      obstacle: () => reporter.obstacle(),
      otherVersion: () => reporter.versions.failure('joiner'),
    })
    reporter.paired()
    return deviceOf(peer)
  } catch (error) {
    reporter.failed(error)
    throw error
  } finally {
    looking.abort()
    reporter.stop()
  }
}

/** Returns the joiners of the code by their records, until one of them has shown that it has the words. */
function joiners(
  { rendezvous }: Internet,
  keys: CodeKeys,
  { contact, onOtherVersion }: { contact: AbortSignal; onOtherVersion: (version: number) => void },
): CandidateSource {
  const records = rendezvous.source(joinerKeys(keys), { awaits: 'joiner', onOtherVersion })
  const source = fewPeers(records, maxJoiners)
  return {
    name: source.name,
    find: async (search) => source.find({ ...search, signal: AbortSignal.any([search.signal, contact]) }),
  }
}

/**
 * Leaves the record by which the initiator, behind its NAT or firewall, finds the joiner. An earlier attempt with the same words
 * may have left one.
 */
function leaveRecord({ internet, log }: PairingsParts, keys: CodeKeys, signal: AbortSignal): void {
  internet?.rendezvous
    .publish(joinerKeys(keys), { signal, mayExist: true, onStatus: () => {} })
    .catch((error: unknown) => log('error', 'dht.defect', { error: String(error) }))
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

/** Announces once a second: a joiner that cannot get to the initiator is reached by it, and known to be looking. */
async function stayVisible({ localNetwork, clock }: PairingsParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    localNetwork?.announce()
    await pause(clock, announceEveryMs, signal)
  }
}

const announceEveryMs = 1_000

function rendezvousKeys({ rendezvousKey, recordKey }: CodeKeys): RendezvousKeys {
  return { signingSeed: rendezvousKey, recordKey }
}

function joinerKeys({ joinerRendezvousKey, joinerRecordKey }: CodeKeys): RendezvousKeys {
  return { signingSeed: joinerRendezvousKey, recordKey: joinerRecordKey }
}

interface PairingReporter {
  report: (progress: PairingProgress) => void
  paired: () => void
  failed: (error: unknown) => void
  /** Returns the obstacle that keeps the other device away, as far as it is known now. */
  obstacle: () => ReachFinding | null
  versions: VersionWatch
  stop: () => void
}

/** Tells the caller and the node's listeners how a pairing goes. */
function progressReporter(
  { localNetwork, emit, onEnded, evidence, clock, nameOf, host }: PairingsParts,
  role: Role,
  sessionId: string,
  { onProgress, peers = [], published = new Set() }: PairOptions & { published?: ReadonlySet<PeerId> },
): PairingReporter {
  const watching = new AbortController()
  const obstacles = new ObstacleWatch({
    evidence,
    clock,
    role,
    given: peers.map((address) => parsePeerAddress(address).peer),
    published,
    nameOf,
    ownPort: () => host.listeningPort(),
    onFinding: (finding) => report({ kind: 'obstacle', finding }),
  })
  const report = (progress: PairingProgress): void => {
    if (progress.kind === 'contact') {
      obstacles.stop()
      versions.stop()
    }
    onProgress?.(progress)
    emit('pairing:progress', { sessionId, role, progress })
  }
  const versions = new VersionWatch({ host, onMet: report })
  const local = (status: 'ready' | 'unavailable', detail: string): void =>
    report({ kind: 'source', source: 'local-network', status, detail })
  if (localNetwork === null) local('unavailable', 'multicast DNS is switched off')
  else localNetwork.watchStatus(local, watching.signal)
  return {
    report,
    paired: () => onEnded(role, 'paired'),
    failed(error) {
      const { code, message } =
        error instanceof SpacedockError ? error : { code: 'internal', message: String(error) }
      onEnded(role, code)
      emit('pairing:failed', { sessionId, role, code, message })
    },
    obstacle: () => obstacles.current(),
    versions,
    stop() {
      obstacles.stop()
      versions.stop()
      watching.abort()
    },
  }
}

function addressesToShow(host: Host): string[] {
  const { peerId: peer } = host
  // Loopback is among them only when there is nothing else.
  const options = { peer, allowLoopback: true, limit: maxUriAddresses }
  return addressesToPublish(host.addresses().map(String), options).map((address) => `${address}/p2p/${peer}`)
}

/** Whether the text is a peer's address: a QR code's addresses are a help and no condition, so a bad one is left out. */
function isPeerAddress(address: string): boolean {
  try {
    parsePeerAddress(address)
    return true
  } catch {
    return false
  }
}
