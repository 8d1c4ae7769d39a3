import type { MessageLimits } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import type { StoreOptions } from '../store/store.ts'

const dayMs = 24 * 3_600_000

/** What an application, or the configuration, says about the boxes. Throws `invalid-argument`. */
export function boxLimits(limits: MessageLimits = {}): Required<Pick<StoreOptions, 'inbox' | 'outbox'>> {
  for (const [name, value] of Object.entries(limits)) {
    if (typeof value === 'number' && value > 0 && (name.endsWith('Days') || Number.isInteger(value))) continue
    throw new SpacedockError('invalid-argument', `The limit "${name}" cannot be ${String(value)}.`, {
      hint: 'Give a number above 0, and a whole one for messages and bytes.',
    })
  }
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
