import * as v from 'valibot'
import type { Clock, Log, Protocol } from '../api.ts'
import type { Session } from '../network/session/session.ts'
import { peerOf } from '../libp2p-peer.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { InstanceHistory } from './instance-history.ts'

/** Report that another machine has this device's identity: by a paired device, or by a packet on the local network. */
export type CopyReport = { by: PeerId } | { address: string }

/** Whom it concerns that a device is there twice. */
export interface CopiesListener {
  /** Called when two machines turn out to have one device's identity, once until that is over. */
  deviceCopied(peer: PeerId): void
  /** Called when it is this device's identity, once until that is over. */
  identityElsewhere(report: CopyReport): void
  /** Called when messages for the device may go again. */
  copiesGone(peer: PeerId): void
}

type StartedSession = Pick<Session, 'remotePeer' | 'remoteInstance' | 'greetedAtMs' | 'request'>

export interface CopiesParts {
  clock: Clock
  log: Log
}

const noticeSchema = v.object({ instances: v.pipe(v.number(), v.integer(), v.minValue(2)) })
const nothing = v.object({})
type CopyNotice = v.InferOutput<typeof noticeSchema>

/**
 * Devices that are there twice: a disk was cloned, a directory copied. Both machines prove the same identity, so their sessions take
 * each other's place, and messages would go now to the one, now to the other. What waits for such a device is held, both machines
 * are told, and it is over when only one has been seen for a while.
 */
export class Copies {
  readonly #parts: CopiesParts
  readonly #histories = new Map<PeerId, InstanceHistory>()
  /** Devices that are there twice, with what ends the wait for its being over. */
  readonly #copied = new Map<PeerId, () => void>()
  #listener: CopiesListener | undefined
  #own: { report: CopyReport; cancel: () => void } | undefined

  constructor(parts: CopiesParts) {
    this.#parts = parts
  }

  /** Calls the listener from now on; there is one. */
  listen(listener: CopiesListener): void {
    this.#listener = listener
  }

  /** Protocol by which a paired device says that it has seen this one twice. */
  get protocol(): Protocol<CopyNotice, object> {
    return {
      name: 'spacedock-copies',
      version: 1,
      request: noticeSchema,
      response: nothing,
      handler: (_, { device }) => {
        this.#report({ by: peerOf(device) })
        return {}
      },
    }
  }

  /** Whether what waits for the device is held. */
  has(peer: PeerId): boolean {
    return this.#copied.has(peer)
  }

  /** Devices that are there twice now. */
  peers(): PeerId[] {
    return [...this.#copied.keys()]
  }

  /** Report on this device's own identity that is not over. */
  get own(): CopyReport | undefined {
    return this.#own?.report
  }

  /** Takes note of a session: a process that runs after its successor did is a second one. */
  sessionStarted(session: StartedSession): void {
    const { remotePeer: peer, remoteInstance: instance, greetedAtMs: askedAtMs } = session
    const history = this.#histories.get(peer) ?? new InstanceHistory()
    this.#histories.set(peer, history)
    const provedAtMs = this.#parts.clock.monotonic()
    if (history.add({ instance, askedAtMs, provedAtMs })) this.#found(peer)
    if (this.has(peer)) this.#tell(session)
  }

  /** Takes note of somebody on the local network who announces this device's peer id and is not this process. */
  announcedElsewhere(address: string): void {
    this.#report({ address })
  }

  /** Forgets a device that is not trusted any more. */
  forget(peer: PeerId): void {
    this.#histories.delete(peer)
    this.#copied.get(peer)?.()
    this.#copied.delete(peer)
  }

  close(): void {
    for (const cancel of this.#copied.values()) cancel()
    this.#own?.cancel()
  }

  #found(peer: PeerId): void {
    const { clock, log } = this.#parts
    const isNews = !this.has(peer)
    this.#copied.get(peer)?.()
    this.#copied.set(
      peer,
      clock.after(quietMs, () => {
        this.forget(peer)
        log('info', 'device.copies-gone', { peer })
        this.#listener?.copiesGone(peer)
      }),
    )
    if (!isNews) return
    log('warn', 'device.copied', { peer })
    this.#listener?.deviceCopied(peer)
  }

  /** Tells the machine at the other end; one that does not understand it says so, and that is all. */
  #tell(session: StartedSession): void {
    const { name, version } = this.protocol
    session.request({ name, version, value: { instances: 2 } }).catch((error: unknown) => {
      this.#parts.log('debug', 'device.not-told-of-its-copy', {
        peer: session.remotePeer,
        error: String(error),
      })
    })
  }

  #report(report: CopyReport): void {
    const { clock, log } = this.#parts
    const isNews = this.#own === undefined
    this.#own?.cancel()
    this.#own = { report, cancel: clock.after(quietMs, () => (this.#own = undefined)) }
    if (!isNews) return
    log('warn', 'identity.elsewhere', { ...report })
    this.#listener?.identityElsewhere(report)
  }
}

/** Time after which it is over, when nothing more was seen of a second machine. */
const quietMs = 10 * 60_000
