import { writeSync } from 'node:fs'
import type * as messages from '../../src/pairing/pairing-messages.ts'
import type { PairingMessage } from '../../src/pairing/pairing-messages.ts'
import type * as trust from '../../src/store/trust.ts'
import type { Trust, TrustParts } from '../../src/store/trust.ts'

/**
 * Where a process can be made to end or stop: around each message of a pairing, and around each step of writing its rows
 * down. Lives in the process of crashing-device.ts, which puts these wrappers in the place of the real functions.
 */

type Row = 'pending' | 'confirming' | 'active'
type Step =
  /** nothing is written yet */
  | 'before it is committed'
  /** the row is durable, and nobody has been told; the identity file does not know yet */
  | 'committed'

export type CrashPoint =
  | `${PairingMessage['type']} received`
  /** decided, and not handed to the network yet */
  | `${PairingMessage['type']} to be sent`
  | `${Row}: ${Step}`
  /** the identity file, which follows a moment after the rows, lies beside the old one */
  | 'identity file: staged'
  | 'identity file: published'

export interface Arming {
  at: CrashPoint
  /** `die` as by kill -9, `stop` as by SIGSTOP: then somebody else can be killed at this very moment. */
  action: 'die' | 'stop'
}

let armed: Arming | null = null

export function arm(arming: Arming): void {
  armed = arming
}

/** By the file that a wrapper stands in for; each gets the module as it is. */
export const wrappers = {
  'src/pairing/pairing-messages.ts': {
    encodeMessage:
      (real: typeof messages.encodeMessage): typeof real =>
      (message) => {
        reach(`${message.type} to be sent`)
        return real(message)
      },
    decodeMessage:
      (real: typeof messages.decodeMessage): typeof real =>
      (bytes) => {
        const message = real(bytes)
        if (message !== null) reach(`${message.type} received`)
        return message
      },
  },
  'src/store/trust.ts': {
    openTrust:
      (real: typeof trust.openTrust): typeof real =>
      (parts) =>
        openObservedTrust(real, parts),
  },
} as const

function openObservedTrust(openTrust: typeof trust.openTrust, parts: TrustParts): Trust {
  /** The row being written, while one is. */
  let row: Row | null = null
  const step = (name: Step): void => {
    if (row !== null) reach(`${row}: ${name}`)
  }
  const { identity, database } = parts
  const real = openTrust({
    ...parts,
    database: {
      ...database,
      transaction(work) {
        step('before it is committed')
        const result = database.transaction(work)
        step('committed')
        return result
      },
    },
    identity: {
      seed: identity.seed,
      peerId: identity.peerId,
      get registryGeneration() {
        return identity.registryGeneration
      },
      stageGeneration(generation) {
        const staged = identity.stageGeneration(generation)
        reach('identity file: staged')
        return {
          publish() {
            staged.publish()
            reach('identity file: published')
          },
          discard: () => staged.discard(),
        }
      },
    },
  })
  const writing = <Result>(what: Row | null, write: () => Result): Result => {
    row = what
    try {
      return write()
    } finally {
      row = null
    }
  }
  return {
    ...real,
    put(record) {
      const { state } = record
      writing(state === 'pending' || state === 'confirming' ? state : null, () => real.put(record))
    },
    activate: (peerId) => writing('active', () => real.activate(peerId)),
  }
}

function reach(point: CrashPoint): void {
  if (armed?.at !== point) return
  const { action } = armed
  armed = null
  // Written at once: what is buffered dies with the process.
  writeSync(1, `reached ${point}\n`)
  process.kill(process.pid, action === 'die' ? 'SIGKILL' : 'SIGSTOP')
  writeSync(1, `passed ${point}\n`)
}
