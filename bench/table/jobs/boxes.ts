import type { CrowdOrder } from '../crowd.ts'
import type { HubOrder, HubUsage, InboxTimes } from '../hub.ts'
import { Program } from '../program.ts'
import type { Job } from './job.ts'

/** An outbox holds 10,000 messages for one device, so as many as it holds in all are for ten. */
const absentDevices = 10

/** A full outbox: messages for devices that are away, which then come back. */
export const outbox: Job = {
  rows: ['queue-write', 'queue-deliver', 'queue-memory'],
  subjects: ['spacedock-outbox'],
  isCostly: true,
  run: async (_subject, setting) => {
    const messages = setting.sizes.boxMessages
    const sender = await Program.start<HubOrder>('hub.ts', [], setting)
    const receivers = await Program.start<CrowdOrder>('crowd.ts', [], setting)
    try {
      await sender.order({ do: 'start' })
      await receivers.order({ do: 'grow', count: absentDevices })
      const addresses = await receivers.order<string[]>({ do: 'invite' })
      await sender.order({ do: 'join', addresses, atOnce: 1 })
      await receivers.order({ do: 'leave' })
      const writtenMs = await sender.order<number>({ do: 'send', each: messages / absentDevices })
      await receivers.order({ do: 'return' })
      const deliveredMs = await sender.order<number>({ do: 'drain' })
      const { peakMemoryMib } = await sender.order<HubUsage>({ do: 'usage' })
      return {
        'queue-write': (messages * 1_000) / writtenMs,
        'queue-deliver': (messages * 1_000) / deliveredMs,
        'queue-memory': peakMemoryMib,
      }
    } finally {
      await receivers.stop()
      await sender.stop()
    }
  },
}

/** A full inbox: the start with it, a list of it, and reading it from the beginning. */
export const inbox: Job = {
  rows: ['inbox-start', 'inbox-list', 'inbox-read', 'inbox-memory'],
  subjects: ['spacedock-inbox'],
  isCostly: true,
  run: async (_subject, setting) => {
    const messages = setting.sizes.boxMessages
    const sender = await Program.start<HubOrder>('hub.ts', [], setting)
    let receiver = await Program.start<HubOrder>('hub.ts', [], setting)
    // A device alone has half of the inbox.
    const inboxMessages = 2 * messages
    try {
      await sender.order({ do: 'start' })
      await receiver.order({ do: 'start', inboxMessages })
      const addresses = await receiver.order<string[]>({ do: 'invite', count: 1 })
      await sender.order({ do: 'join', addresses, atOnce: 1 })
      await sender.order({ do: 'send', each: messages })
      await sender.order({ do: 'drain' })
      const dataDir = await receiver.order<string>({ do: 'hand-over' })
      await receiver.stop()
      receiver = await Program.start<HubOrder>('hub.ts', [dataDir], setting)
      const startMs = await receiver.order<number>({ do: 'start', inboxMessages })
      const { memoryMib } = await receiver.order<HubUsage>({ do: 'usage' })
      const times = await receiver.order<InboxTimes>({ do: 'read-inbox' })
      if (times.messages !== messages) throw new Error(`${times.messages} of ${messages} messages are there`)
      return {
        'inbox-start': startMs,
        'inbox-memory': memoryMib,
        'inbox-list': times.listMs,
        'inbox-read': times.readMs,
      }
    } finally {
      await receiver.stop()
      await sender.stop()
    }
  },
}
