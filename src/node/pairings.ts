import type { Device, Invitation, JoinOptions, PairOptions } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { checkOptions, type OptionNames } from '../known-options.ts'
import { addressesToPublish } from '../network/addresses/address-filter.ts'
import { parsePeerAddress } from '../network/addresses/peer-address.ts'
import { givenAddresses } from '../network/discovery/given-addresses.ts'
import type { Host } from '../network/host/host.ts'
import { deriveCodeKeys } from '../pairing/key-schedule.ts'
import { formatPairingUri, parseInvitationText } from '../pairing/pairing-uri.ts'
import { suite1 } from '../pairing/suite.ts'
import { sessionIdOf } from '../protocols/machine-run.ts'
import type { PairingService } from '../protocols/pairing-service.ts'
import type { KnownDevices } from './known-devices.ts'
import { PairingReporter, type PairingReporterParts } from './pairing-reporter.ts'
import { PairingSearch, type PairingSearchParts } from './pairing-search.ts'

export interface PairingsParts extends PairingSearchParts, PairingReporterParts {
  pairing: PairingService
  devices: KnownDevices
}

const searchTimeoutMs = 300_000
/** Number of addresses in the URI: a QR code with more is hard to scan. */
const maxUriAddresses = 3

const pairOptionNames: OptionNames<PairOptions> = {
  confirm: true,
  signal: true,
  onProgress: true,
  peers: true,
}
const joinOptionNames: OptionNames<JoinOptions> = { ...pairOptionNames, timeoutMs: true }

/** Pairings as the application begins them. */
export class Pairings {
  readonly #parts: PairingsParts

  constructor(parts: PairingsParts) {
    this.#parts = parts
  }

  /** Shows a new code. */
  async pair(options: PairOptions): Promise<Invitation> {
    checkOptions(options, pairOptionNames, 'pair')
    options.signal?.throwIfAborted()
    const { pairing, host, devices } = this.#parts
    const { peers = [], onProgress } = options
    const given = givenAddresses(peers)
    const code = pairing.newCode()
    const sessionId = sessionIdOf(code.keys)
    const reporter = new PairingReporter(this.#parts, { role: 'initiator', sessionId, peers, onProgress })
    const runner = pairing.invite(code, { ...options, observer: reporter })
    const publishing = new AbortController()
    new PairingSearch(this.#parts, { keys: code.keys, given, reporter }).showCode(publishing.signal)

    const paired = runner.paired.then((peer): Device => devices.of(peer))
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
      words: code.words,
      uri: formatPairingUri(code.words, addressesToShow(host)),
      sessionId,
      expiresAt: new Date(code.expiresAtMs),
      paired,
      cancel: () => runner.cancel(),
    }
  }

  /** Uses a code. */
  async join(text: string, options: JoinOptions): Promise<Device> {
    checkOptions(options, joinOptionNames, 'join')
    options.signal?.throwIfAborted()
    const { pairing, devices } = this.#parts
    const { onProgress, timeoutMs = searchTimeoutMs } = options
    const { code, addresses } = parseInvitationText(text)
    if (!code.ok) throw new SpacedockError('invalid-code', code.message, { hint: code.hint })
    const peers = [...(options.peers ?? []), ...addresses.filter(isPeerAddress)]
    const given = givenAddresses(peers)
    const keys = deriveCodeKeys(suite1, code.entropy)
    if (pairing.shows(keys)) {
      throw new SpacedockError('invalid-argument', 'This code is shown by this device itself.', {
        hint: 'Type the words on the device that this one shall be paired with.',
      })
    }
    const sessionId = sessionIdOf(keys)
    const reporter = new PairingReporter(this.#parts, { role: 'joiner', sessionId, peers, onProgress })
    const looking = new AbortController()
    try {
      const sources = new PairingSearch(this.#parts, { keys, given, reporter }).useCode(looking.signal)
      const peer = await pairing.join(keys, { ...options, sources, timeoutMs, observer: reporter })
      reporter.paired()
      return devices.of(peer)
    } catch (error) {
      reporter.failed(error)
      throw error
    } finally {
      looking.abort()
      reporter.stop()
    }
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
