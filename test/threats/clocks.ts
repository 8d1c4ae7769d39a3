import { cpSync } from 'node:fs'
import { systemClock } from '../../src/clock.ts'
import type { Clock, MessageLimits, SpacedockNode } from '../../src/index.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { openStore } from '../../src/store/store.ts'
import { asPeer } from '../peers.ts'
import { fakePeerId } from './fake-peer-id.ts'
import { pairNodes, pause, type Scene } from './scene.ts'
import { succeeded, withstood, type Threat, type Verdict } from './threat.ts'

const persistentClock = 'src/store/persistent-clock.ts'

/** Threat 49: a wall clock that is set, by a person, a time server or an attacker in between, and a process that ends at once. */
export const threats: Threat[] = [
  {
    row: 49,
    title: 'a wall clock that is set, and then a kill or a power cut, costs no message and no pairing',
    attack: setAndKill,
    without: [
      {
        what: 'the clock that goes on while the machine is on',
        patches: [
          {
            file: persistentClock,
            find: `if (sameBootMs >= 0) return sameBootMs`,
            replace: `if (sameBootMs < -1) return sameBootMs`,
          },
        ],
      },
      {
        what: 'the look at whether it was set',
        patches: [{ file: persistentClock, find: `void (isSet() && keep())`, replace: `undefined` }],
      },
      {
        what: 'the doubt about how long the machine was off',
        patches: [
          { file: persistentClock, find: `Math.min(mostBelievedMs, `, replace: `Math.min(Infinity, ` },
        ],
      },
      {
        what: 'the seven days by the lasting clock',
        patches: [
          {
            file: 'src/node/trusted-peers.ts',
            find: `expireProvisional(this.#store.lastingClock.now())`,
            replace: `expireProvisional(this.#clock.wall())`,
          },
        ],
      },
    ],
  },
]

const dayMs = 24 * 3_600_000

interface Course {
  what: string
  /** What is left to lose: the lifetime of a message, in days. */
  days: number
  ends: 'kill' | 'power-cut'
  /** Time from when the clock was set to the end. */
  noticedForMs: number
}

const courses: Course[] = [
  { what: 'killed at once', days: 0.5, ends: 'kill', noticedForMs: 0 },
  { what: 'the power is cut a little later', days: 0.5, ends: 'power-cut', noticedForMs: 31_000 },
  { what: 'the power is cut at once', days: 3, ends: 'power-cut', noticedForMs: 0 },
]

async function setAndKill(scene: Scene): Promise<Verdict> {
  const played = courses.flatMap((course) =>
    [100 * dayMs, -100 * dayMs].map(async (jumpMs) => {
      const lost = await play(scene, course, jumpMs)
      return lost === null ? [] : [`set by ${jumpMs / dayMs} days and ${course.what}: ${lost}`]
    }),
  )
  const [breach] = (await Promise.all(played)).flat()
  return breach === undefined
    ? withstood(`${courses.length} ways to end, forward and back`)
    : succeeded(breach)
}

/** Returns what was lost. */
async function play(scene: Scene, course: Course, jumpMs: number): Promise<string | null> {
  const messages: MessageLimits = { inboxDays: course.days, outboxDays: course.days }
  const clock = new Wall()
  const dataDir = scene.directory()
  const unfinished = halfPaired(dataDir, clock)
  const node = await scene.node('board', { dataDir, clock, messages })
  const other = await scene.node('desktop')
  await pairNodes(node, other)
  await sendAndWait(other, node, 'kept')
  await other.close()
  await node.device(other.id).send('precious')

  clock.offsetMs = jumpMs
  await pause(course.noticedForMs)
  const left = scene.directory()
  // As a process that is killed leaves it: what is written is there, and nothing more.
  cpSync(dataDir, left, { recursive: true })
  await node.close()

  const later = new Wall(course.ends === 'kill' ? clock.bootId() : 'another boot')
  later.offsetMs = jumpMs
  const again = await scene.node('board', { dataDir: left, clock: later, messages })
  // The upkeep looks at everything right after the start.
  await pause(200)
  const [inbox, outbox] = [again.inbox().length, again.outbox()]
  await again.close()
  const store = openStore({ dataDir: left, clock: later })
  const isUnfinished = store.trust.provisional(unfinished) !== undefined
  store.close()
  if (inbox !== 1) return 'what has arrived is gone'
  if (outbox.some(({ state }) => state !== 'queued')) return 'what waits has expired'
  return isUnfinished ? null : 'a pairing that was not finished is given up'
}

async function sendAndWait(from: SpacedockNode, to: SpacedockNode, text: string): Promise<void> {
  const arrived = new Promise<void>((resolve) =>
    to.addEventListener('message', () => resolve(), { once: true }),
  )
  await from.device(to.id).send(text)
  await arrived
}

/** Leaves a pairing behind that was not finished; returns the other side's peer id. */
function halfPaired(dataDir: string, clock: Clock): PeerId {
  const store = openStore({ dataDir, clock })
  const peerId = asPeer(fakePeerId())
  store.trust.put({
    peerId,
    name: 'phone',
    state: 'pending',
    pairKey: new Uint8Array(32).fill(1),
    acknowledgement: new Uint8Array(32).fill(2),
    pairedAtMs: clock.wall(),
    changedAtMs: store.lastingClock.now(),
  })
  store.close()
  return peerId
}

/** The machine's clocks, of which the wall clock can be set, and the boot told. */
class Wall implements Clock {
  offsetMs = 0
  readonly #bootId: string

  constructor(bootId = 'one boot') {
    this.#bootId = bootId
  }

  monotonic(): number {
    return systemClock.monotonic()
  }

  wall(): number {
    return systemClock.wall() + this.offsetMs
  }

  sinceBoot(): number {
    return systemClock.sinceBoot?.() ?? systemClock.monotonic()
  }

  bootId(): string {
    return this.#bootId
  }

  after(delayMs: number, callback: () => void): () => void {
    return systemClock.after(delayMs, callback)
  }
}
