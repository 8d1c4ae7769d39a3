import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boxLimits } from '../../src/node/message-limits.ts'

test('what is not said, or undefined, is left to the boxes', () => {
  assert.deepEqual(boxLimits(), { inbox: {}, outbox: {} })
  const given: Record<string, unknown> = { inboxMessages: undefined, outboxDays: undefined }
  assert.deepEqual(boxLimits(given), { inbox: {}, outbox: {} })
})

test('every limit reaches its box', () => {
  const day = 86_400_000
  assert.deepEqual(
    boxLimits({
      inboxMessages: 1,
      inboxBytes: 1_048_576,
      inboxFull: 'drop-oldest',
      inboxDays: 0.5,
      outboxDays: Number.POSITIVE_INFINITY,
    }),
    {
      inbox: { messages: 1, bytes: 1_048_576, whenFull: 'drop-oldest', keptMs: day / 2 },
      outbox: { expiresInMs: Number.POSITIVE_INFINITY },
    },
  )
})

const refused: [given: Record<string, unknown>, message: string, hint: RegExp][] = [
  [{ inboxMessages: 0 }, 'The limit "inboxMessages" cannot be 0.', /above 0/],
  [{ inboxMessages: 1.5 }, 'The limit "inboxMessages" cannot be 1.5.', /whole/],
  [{ inboxMessages: '5' }, 'The limit "inboxMessages" cannot be 5.', /number/],
  [{ inboxMessages: null }, 'The limit "inboxMessages" cannot be null.', /number/],
  [{ inboxFull: 'drop' }, 'The rule "inboxFull" cannot be drop.', /"wait" or "drop-oldest"/],
  [{ inboxDays: -1 }, 'The limit "inboxDays" cannot be -1.', /above 0/],
  [{ outboxDays: Number.NaN }, 'The limit "outboxDays" cannot be NaN.', /above 0/],
  [{ inboxBytes: 1_048_575 }, 'The limit "inboxBytes" cannot be 1048575.', /at least 1048576/],
  [
    { inboxMesages: 5 },
    'There is no option "messages.inboxMesages" of createNode.',
    /^Did you mean "inboxMessages"\?$/,
  ],
  [
    { toString: 5 },
    'There is no option "messages.toString" of createNode.',
    /^There is inboxMessages, inboxBytes, inboxFull, inboxDays, outboxDays\.$/,
  ],
]

test('a limit that makes no sense, or that there is none of, is refused with what would', () => {
  for (const [given, message, hint] of refused) {
    assert.throws(() => boxLimits(given), { code: 'invalid-argument', message, hint })
  }
})
