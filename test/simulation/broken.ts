import { withoutSeenIds, withoutWaitingForReceipts } from '../threats/message-patches.ts'
import type { Patch } from '../threats/threat.ts'
import type { StoryName } from './stories.ts'

const deviceSessions = 'src/network/supervisor/device-sessions.ts'
const liveSession = 'src/network/session/live-session.ts'

/** The system with one defence taken out: the simulation has to notice each. */
export const brokenVersions: readonly {
  what: string
  /** Which stories notice it. @default messages */
  story?: StoryName
  patches: readonly Patch[]
}[] = [
  { what: 'the ids that were seen (dedupe)', patches: withoutSeenIds },
  {
    what: 'the acknowledgement only of what is durable',
    patches: [
      {
        file: 'src/protocols/messaging.ts',
        find: `=> this.received.receive(peerOf(device), delivery),`,
        replace: `=> {
        this.#components.clock.after(20, () => this.received.receive(peerOf(device), delivery))
        return { stored: true }
      },`,
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
        replace: `      void entered.catch(() => {})\n      if (this.#components.sessions.sessionOf(peer) === undefined) return { id, status: 'queued' }\n      await connected()\n`,
      },
    ],
  },
  {
    what: 'the sending of what waits at a new session',
    patches: [{ file: 'src/node.ts', find: `      messaging.pump(id)\n`, replace: `` }],
  },
  {
    what: 'the end of sessions and of trust at a revocation',
    patches: [
      {
        file: 'src/node/device.ts',
        find: `        await supervisor.drop(this.#peer, record.revocationNotice)\n`,
        replace: ``,
      },
      {
        file: 'src/node.ts',
        find: `  protocols.serveTo(devices)\n`,
        replace: `  protocols.serveTo({ trusted: (peer) => devices.of(peer) })\n`,
      },
    ],
  },
  {
    what: 'the telling of a device that it was revoked',
    patches: [
      {
        file: 'src/node/trusted-peers.ts',
        find: `    return record?.state === 'revoked' ? record.revocationNotice : undefined\n`,
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
        find: `if (next === 'retry') this.#planRetry(plan)`,
        replace: `if (next === 'never') this.#planRetry(plan)`,
      },
      {
        file: 'src/network/supervisor/attempt-schedule.ts',
        find: `    this.#advance(plan, 'urgent')\n`,
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
  {
    what: 'the patience with a session that is refused: it gets a second',
    story: 'idle',
    patches: [
      {
        file: deviceSessions,
        find: `    this.#sessions.push(new Held(session))\n`,
        replace:
          `    const keeps = this.#options.isChooser ? 'local' : 'remote'\n` +
          `    if (this.used !== undefined && session.opener !== keeps) return void session.close()\n` +
          `    this.#sessions.push(new Held(session))\n`,
      },
    ],
  },
  {
    what: 'the patience with a session that is replaced: it gets a second',
    story: 'lives',
    patches: [
      {
        file: deviceSessions,
        find: `void each.session.drain()`,
        replace: `void each.session.close()`,
      },
    ],
  },
  {
    what: 'the patience with a session that is replaced: it gets ten minutes',
    story: 'idle',
    patches: [
      {
        file: liveSession,
        find: `      await this.#idle.promise\n      await this.close()\n`,
        replace:
          `      const late = new Promise<void>((resolve) => this.clock.after(600_000, resolve))\n` +
          `      await Promise.race([this.#idle.promise, late])\n      await this.close()\n`,
      },
    ],
  },
  {
    what: 'any patience with a session that is replaced',
    story: 'lives',
    patches: [
      {
        file: deviceSessions,
        find: `void each.session.drain()`,
        replace: `each.session.abort(tooMany())`,
      },
    ],
  },
  {
    what: 'the heed of a goodbye',
    story: 'lives',
    patches: [
      {
        file: 'src/network/supervisor/choice.ts',
        find: `candidates.filter(({ isLeaving }) => !isLeaving)`,
        replace: `[...candidates]`,
      },
    ],
  },
  {
    what: 'the telling of streams that their session has ended',
    story: 'lives',
    patches: [{ file: liveSession, find: `    this.#streams.failAll(interrupted)\n`, replace: `` }],
  },
  {
    what: 'the telling of requests that their session has ended',
    story: 'lives',
    patches: [{ file: liveSession, find: `    this.#outbound.rejectAll(interrupted)\n`, replace: `` }],
  },
  {
    what: 'the telling of handlers that their session has ended',
    story: 'lives',
    patches: [{ file: liveSession, find: `    this.#inbound.abortAll(interrupted)\n`, replace: `` }],
  },
  {
    what: 'the share of each sender in the inbox',
    story: 'boxes',
    patches: [
      {
        file: 'src/store/inbox-shares.ts',
        find: `Math.floor((freeMessages - held.messages + 1) / 2)`,
        replace: `freeMessages`,
      },
    ],
  },
  {
    what: 'the refusal of what does not fit into the inbox',
    story: 'boxes',
    patches: [
      {
        file: 'src/protocols/received-messages.ts',
        find: `if (!Array.isArray(acceptances)) throw this.#refusal(peer, messages.length, acceptances.room)`,
        replace: `if (!Array.isArray(acceptances)) return { stored: true }`,
      },
    ],
  },
  {
    what: 'the clock that nobody sets, between two runs',
    story: 'boxes',
    patches: [
      {
        file: 'src/store/persistent-clock.ts',
        find: `if (sameBootMs >= 0) return sameBootMs`,
        replace: `if (sameBootMs < -1) return sameBootMs`,
      },
      {
        file: 'src/store/persistent-clock.ts',
        find: `Math.min(mostBelievedMs, `,
        replace: `Math.min(Infinity, `,
      },
    ],
  },
  {
    what: 'the doubt about how long a machine was off',
    story: 'boxes',
    patches: [
      {
        file: 'src/store/persistent-clock.ts',
        find: `Math.min(mostBelievedMs, `,
        replace: `Math.min(Infinity, `,
      },
    ],
  },
]
