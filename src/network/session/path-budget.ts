import { SpacedockError } from '../../errors.ts'
import { encodeJson } from '../json-text.ts'
import type { SessionConnection } from '../transport/tls-connection.ts'

/** Limits of one relayed connection. Public relays end it when they are used up. */
export interface PathBudget {
  /** Largest request, event or message, in bytes of JSON. */
  readonly messageBytes: number
  /** Bytes that may be sent now; less than `messageBytes` when little is left. */
  readonly roomBytes: number
  /** Whether it is time for another connection. */
  readonly isRunningOut: boolean
}

/** Returns null for a connection without limits. Both directions count together, since libp2p counts them so. */
export function pathBudget({ limits }: Pick<SessionConnection, 'limits'>): PathBudget | null {
  if (limits === undefined) return null
  const leftBytes = (): number => (limits.bytes === undefined ? Infinity : Number(limits.bytes))
  const leftSeconds = (): number => limits.seconds ?? Infinity
  const [firstBytes, firstSeconds] = [leftBytes(), leftSeconds()]
  // The bytes left when the next connection is asked for still hold one message and its reserve.
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

/** Throws `too-large` when the value exceeds the budget. */
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
