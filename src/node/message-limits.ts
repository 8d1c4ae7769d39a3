import type { MessageLimits } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { checkOptions, type OptionNames } from '../known-options.ts'
import type { StoreOptions } from '../store/store.ts'

const dayMs = 24 * 3_600_000
/** Least size of the inbox, a few messages of the largest size: with less, one that comes could push out all others. */
const leastInboxBytes = 1024 * 1024

type NumberName = Exclude<keyof MessageLimits, 'inboxFull'>

const whole = (value: number): boolean => Number.isInteger(value) && value > 0
const aboveZero = (value: number): boolean => value > 0
const limitHint = 'Give a number above 0, and a whole one for messages and bytes.'

const known: Record<NumberName, { fits: (value: number) => boolean; hint: string }> = {
  inboxMessages: { fits: whole, hint: limitHint },
  inboxBytes: {
    fits: (value) => whole(value) && value >= leastInboxBytes,
    hint: `Give a whole number of at least ${leastInboxBytes}: a single message may have 262144 bytes.`,
  },
  inboxDays: { fits: aboveZero, hint: limitHint },
  outboxDays: { fits: aboveZero, hint: limitHint },
}

const rules = ['wait', 'drop-oldest'] as const

const names: OptionNames<MessageLimits> = {
  inboxMessages: true,
  inboxBytes: true,
  inboxFull: true,
  inboxDays: true,
  outboxDays: true,
}

/** Limits of the boxes by the application's options or the configuration. Throws `invalid-argument`. */
export function boxLimits(limits: MessageLimits = {}): Required<Pick<StoreOptions, 'inbox' | 'outbox'>> {
  checkOptions(limits, names, 'createNode', 'messages.')
  for (const name of Object.keys(known) as NumberName[]) check(name, limits[name])
  checkRule(limits.inboxFull)
  const { inboxMessages, inboxBytes, inboxFull, inboxDays, outboxDays } = limits
  return {
    inbox: {
      ...(inboxMessages === undefined ? {} : { messages: inboxMessages }),
      ...(inboxBytes === undefined ? {} : { bytes: inboxBytes }),
      ...(inboxFull === undefined ? {} : { whenFull: inboxFull }),
      ...(inboxDays === undefined ? {} : { keptMs: inboxDays * dayMs }),
    },
    outbox: outboxDays === undefined ? {} : { expiresInMs: outboxDays * dayMs },
  }
}

function check(name: NumberName, value: number | undefined): void {
  const { fits, hint } = known[name]
  if (value === undefined || (typeof value === 'number' && fits(value))) return
  throw new SpacedockError('invalid-argument', `The limit "${name}" cannot be ${String(value)}.`, {
    hint,
    option: `messages.${name}`,
  })
}

function checkRule(rule: MessageLimits['inboxFull']): void {
  if (rule === undefined || rules.includes(rule)) return
  throw new SpacedockError('invalid-argument', `The rule "inboxFull" cannot be ${rule as string}.`, {
    hint: `Give "wait" or "drop-oldest".`,
    option: 'messages.inboxFull',
  })
}
