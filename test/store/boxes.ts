import { openDatabase } from '../../src/store/database.ts'
import { openInbox, type Inbox, type InboxLimits } from '../../src/store/inbox.ts'
import { openPersistentClock } from '../../src/store/persistent-clock.ts'
import { openOutbox, type Outbox, type OutboxLimits } from '../../src/store/outbox.ts'
import { virtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'

/** Both boxes in memory, with limits and a clock of the test's own. */
export function boxes(limits: { inbox?: InboxLimits; outbox?: OutboxLimits } = {}): {
  inbox: Inbox
  outbox: Outbox
  time: VirtualClock
} {
  const database = openDatabase(':memory:', { mayCreate: true })
  const time = virtualClock()
  const clock = openPersistentClock(database, { wall: () => time.wall(), monotonic: () => time.monotonic() })
  return {
    time,
    inbox: openInbox(database, clock, limits.inbox),
    outbox: openOutbox(database, clock, limits.outbox),
  }
}
