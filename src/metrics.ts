/**
 * Counters of a node since its start. Whole numbers, which only grow until the node is closed; those that are called `open` and
 * `queued` are how many there are at this moment. No device can be told from them.
 */
export interface NodeMetrics {
  /** Encrypted connections, to devices and rendezvous nodes and from strangers alike. */
  connections: { opened: ByPath; open: ByPath }
  /** Tries to connect to a device, one for all of its addresses together, and those that failed. */
  dials: { tried: number; failed: number }
  /**
   * Sessions with paired devices. `opened`: also when one takes the place of another. `lost`: how often a connected device was
   * not connected any more, for whatever reason. `encryption`: all that were opened, over TLS and over Noise; `noiseForTls`: direct ones
   * over Noise with a device that speaks TLS, since something on the way let no TLS through. `overTls`: how many of those open are over
   * TLS.
   */
  sessions: {
    opened: number
    lost: number
    open: ByPath
    overTls: number
    encryption: { tls: number; noise: number; noiseForTls: number }
  }
  /** Messages of this device's inbox and outbox. */
  messages: {
    /** accepted for another device: durable here */
    sent: number
    /** acknowledged by the other device: durable there */
    delivered: number
    /** arrived for the first time */
    received: number
    /** arrived again, and acknowledged again, because the first acknowledgement was lost */
    duplicate: number
    /** not sent any more, because their time was over */
    expired: number
    /** taken out of the inbox because of its limits: too many, too large or too old */
    dropped: number
    /** waiting in the outbox */
    queued: number
  }
  /** Bytes on the sessions with paired devices: all that they say to each other, before encryption. */
  bytes: { received: number; sent: number }
  /** Repeated attempts after a failure: connecting to a device, handing over a message. */
  retries: { connections: number; messages: number }
  /** Ends of pairings, by this device's role in them. */
  pairings: { initiator: Record<PairingOutcome, number>; joiner: Record<PairingOutcome, number> }
}

/** A number for connections of each path. */
export interface ByPath {
  /** Connections without a relay in between. */
  direct: number
  /** Connections over a relay. */
  relayed: number
}

/** End of a pairing: `paired`, the code of the error that it ended with, or `failed` for every other error. */
export type PairingOutcome =
  | 'paired'
  | 'cancelled'
  | 'expired'
  | 'declined'
  | 'used'
  | 'burnt'
  | 'not-found'
  | 'other-version'
  | 'interrupted'
  | 'failed'

/** @internal */
export const pairingOutcomes = Object.keys({
  paired: true,
  cancelled: true,
  expired: true,
  declined: true,
  used: true,
  burnt: true,
  'not-found': true,
  'other-version': true,
  interrupted: true,
  failed: true,
} satisfies Record<PairingOutcome, true>) as PairingOutcome[]
