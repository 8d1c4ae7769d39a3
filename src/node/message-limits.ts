import type { MessageLimits } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import type { StoreOptions } from '../store/store.ts'

const dayMs = 24 * 3_600_000
/** A few messages of the largest size: with less, one that comes could push out all others. */
const leastInboxBytes = 1024 * 1024

const whole = (value: number): boolean => Number.isInteger(value) && value > 0
const aboveZero = (value: number): boolean => value > 0
const limitHint = 'Give a number above 0, and a whole one for messages and bytes.'

const known: Record<keyof MessageLimits, { fits: (value: number) => boolean; hint: string }> = {
  inboxMessages: { fits: whole, hint: limitHint },
  inboxBytes: {
    fits: (value) => whole(value) && value >= leastInboxBytes,
    hint: `Give a whole number of at least ${leastInboxBytes}: a single message may have 262144 bytes.`,
  },
  inboxDays: { fits: aboveZero, hint: limitHint },
  outboxDays: { fits: aboveZero, hint: limitHint },
}

/** What an application, or the configuration, says about the boxes. Throws `invalid-argument`. */
export function boxLimits(limits: MessageLimits = {}): Required<Pick<StoreOptions, 'inbox' | 'outbox'>> {
  for (const [name, value] of Object.entries(limits)) check(name, value)
  const { inboxMessages, inboxBytes, inboxDays, outboxDays } = limits
  return {
    inbox: {
      ...(inboxMessages === undefined ? {} : { messages: inboxMessages }),
      ...(inboxBytes === undefined ? {} : { bytes: inboxBytes }),
      ...(inboxDays === undefined ? {} : { keptMs: inboxDays * dayMs }),
    },
    outbox: outboxDays === undefined ? {} : { expiresInMs: outboxDays * dayMs },
  }
}

function check(name: string, value: number | undefined): void {
  if (!isKnown(name)) {
    throw new SpacedockError('invalid-argument', `There is no limit "${name}" for messages.`, {
      hint: `The limits are ${Object.keys(known).join(', ')}.`,
    })
  }
  const { fits, hint } = known[name]
  if (value === undefined || (typeof value === 'number' && fits(value))) return
  throw new SpacedockError('invalid-argument', `The limit "${name}" cannot be ${String(value)}.`, { hint })
}

function isKnown(name: string): name is keyof MessageLimits {
  return Object.hasOwn(known, name)
}
