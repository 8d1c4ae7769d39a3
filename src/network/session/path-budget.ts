import type { Connection } from '@libp2p/interface'
import { SpacedockError } from '../../errors.ts'
import { encodeJson } from '../json-text.ts'

/** What a relay lets pass over one connection. Relays of others end it when that is used up. */
export interface PathBudget {
  /** Largest request, event or message, in bytes of JSON. */
  readonly messageBytes: number
  /** What may be sent at this moment; less than `messageBytes` when little is left. */
  readonly roomBytes: number
  /** It is time for another connection. */
  readonly isRunningOut: boolean
}

/** Null for a connection without limits. Both directions count together, since libp2p counts them so. */
export function pathBudget({ limits }: Pick<Connection, 'limits'>): PathBudget | null {
  if (limits === undefined) return null
  const leftBytes = (): number => (limits.bytes === undefined ? Infinity : Number(limits.bytes))
  const leftSeconds = (): number => limits.seconds ?? Infinity
  const [firstBytes, firstSeconds] = [leftBytes(), leftSeconds()]
  // What is left when the next connection is asked for still holds one message and its reserve.
  const messageBytes = Math.floor(firstBytes / 4)
  const reserveBytes = firstBytes / 16
  return {
    messageBytes,
    get roomBytes() {
      return firstBytes === Infinity
        ? Infinity
        : Math.max(0, Math.min(messageBytes, leftBytes() - reserveBytes))
    },
    get isRunningOut() {
      const fewBytes = firstBytes !== Infinity && leftBytes() < renewalShare * firstBytes
      const fewSeconds = leftSeconds() < Math.min(renewalSeconds, renewalShare * firstSeconds)
      return fewBytes || fewSeconds
    },
  }
}

/** Throws `too-large`. */
export function requireFitting(budget: PathBudget | null, value: unknown): void {
  if (budget === null || budget.messageBytes === Infinity) return
  const { byteLength } = encodeJson(value)
  if (byteLength <= budget.messageBytes) return
  throw new SpacedockError(
    'too-large',
    `This has ${byteLength} bytes, and the connection goes over a relay that carries at most ${budget.messageBytes} at once.`,
    {
      hint: 'Wait for a direct connection, split it into smaller ones, or use a rendezvous node of your own.',
    },
  )
}

const renewalShare = 0.4
const renewalSeconds = 40
