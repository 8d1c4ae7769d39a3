import { withoutSeenIds, withoutWaitingForReceipts } from '../threats/message-patches.ts'
import type { Patch } from '../threats/threat.ts'

/** The system with one defence taken out: the simulation has to notice each. */
export const brokenVersions: readonly { what: string; patches: readonly Patch[] }[] = [
  { what: 'the ids that were seen (dedupe)', patches: withoutSeenIds },
  {
    what: 'the acknowledgement only of what is durable',
    patches: [
      {
        file: 'src/protocols/messaging.ts',
        find: `    const acceptances = inbox.accept(records)\n`,
        replace: `    const acceptances = []\n    this.#components.clock.after(20, () => inbox.accept(records))\n`,
      },
    ],
  },
  {
    what: 'the order of what waits',
    patches: [
      {
        file: 'src/store/outbox.ts',
        find: `sequence <= ? ORDER BY sequence`,
        replace: `sequence <= ? ORDER BY id`,
      },
    ],
  },
  { what: 'the wait for the receipt', patches: withoutWaitingForReceipts },
  {
    what: 'the outbox that outlives a crash',
    patches: [
      {
        file: 'src/protocols/messaging.ts',
        find: `      await entered\n      await connected()\n`,
        replace: `      void entered.catch(() => {})\n      if (requestOf(peer) === null) return { id, status: 'queued' }\n      await connected()\n`,
      },
    ],
  },
  {
    what: 'the sending of what waits at a new session',
    patches: [{ file: 'src/node.ts', find: `      messaging.pump(peer)\n`, replace: `` }],
  },
  {
    what: 'the end of sessions and of trust at a revocation',
    patches: [
      {
        file: 'src/node/devices.ts',
        find: `        await supervisor.drop(peerIdFromString(peer), record.farewell)\n`,
        replace: ``,
      },
      {
        file: 'src/node.ts',
        find: `    deviceOf: (peer) => devices.trusted(peer.toString()),\n`,
        replace: `    deviceOf: (peer) => devices.handle(peer.toString()),\n`,
      },
    ],
  },
  {
    what: 'the telling of a device that it was revoked',
    patches: [
      {
        file: 'src/node/trusted-peers.ts',
        find: `    return record?.state === 'revoked' ? record.farewell : undefined\n`,
        replace: `    return undefined\n`,
      },
      {
        file: 'src/node/trusted-peers.ts',
        find: `      if (isOffered(trust.get(peer))) registry.markNeedsPairing(peer)\n`,
        replace: ``,
      },
    ],
  },
  {
    what: 'the tries after a failed one',
    patches: [
      {
        file: 'src/network/supervisor/attempt-schedule.ts',
        find: `if (next === 'retry') this.#planRetry(entry)`,
        replace: `if (next === 'never') this.#planRetry(entry)`,
      },
      {
        file: 'src/network/supervisor/attempt-schedule.ts',
        find: `    this.#advance(this.#entry(peerId), 'urgent')\n`,
        replace: ``,
      },
    ],
  },
  {
    what: 'the initiator’s own dials',
    patches: [
      {
        file: 'src/protocols/outreach.ts',
        find: `    if (signal.aborted) return\n    this.#queue ??=`,
        replace: `    if (signal !== undefined) return\n    this.#queue ??=`,
      },
    ],
  },
]
