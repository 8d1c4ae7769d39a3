import { chmodSync, cpSync, rmSync } from 'node:fs'
import type { SpacedockNode } from '../../src/index.ts'
import { pairNodes, pause, type Scene } from './scene.ts'
import { unless, type Threat, type Verdict } from './threat.ts'

/** Threat 50: one identity on two machines, and a state that was put back. */
export const threats: Threat[] = [
  {
    row: 50,
    title: 'two machines with one identity are told, all sides, and nothing goes to the one or the other',
    attack: cloneDisk,
    seconds: 60,
    without: [
      {
        what: 'the look at who takes turns',
        patches: [
          {
            file: 'src/protocols/instance-history.ts',
            find: `return isBack`,
            replace: `return isBack && this.#known.length > 200`,
          },
        ],
      },
      {
        what: 'the hold',
        patches: [
          {
            file: 'src/protocols/messaging.ts',
            find: `if (session === undefined || isHeld || batch`,
            replace: `if (session === undefined || batch`,
          },
        ],
      },
      {
        what: 'the word to the machines',
        patches: [
          {
            file: 'src/protocols/copies.ts',
            find: `if (this.has(peer)) this.#tell(session)`,
            replace: `if (peer === undefined) this.#tell(session)`,
          },
        ],
      },
    ],
  },
  {
    row: 50,
    title: 'a backup that is put back gives no number twice, and its person is told what is missing',
    attack: putBack,
    without: [
      {
        what: 'the new block of numbers at each start',
        patches: [
          {
            file: 'src/store/inbox-numbers.ts',
            find: `if (this.#isBegun) return\n`,
            replace: `if (!this.#isBegun || this.#isNew) return\n`,
          },
        ],
      },
      {
        what: 'the look at the file',
        patches: [
          {
            file: 'src/store/place.ts',
            find: `isOtherFile(known, path) || `,
            replace: ``,
          },
        ],
      },
    ],
  },
]

async function cloneDisk(scene: Scene): Promise<Verdict> {
  const friend = await scene.node('friend')
  const dataDir = scene.directory()
  const original = await scene.node('laptop', { dataDir })
  await pairNodes(friend, original)
  await original.close()
  const cloneDir = copyOf(scene, dataDir)
  let copied = 0
  friend.addEventListener('device:copied', () => copied++)
  const machines = [
    await scene.node('laptop', { dataDir }),
    await scene.node('laptop', { dataDir: cloneDir }),
  ]
  const elsewhere: number[] = []
  for (const [index, machine] of machines.entries())
    machine.addEventListener('identity:elsewhere', () => elsewhere.push(index))
  const isNoticed = await holds(() => copied > 0, 60_000)
  const sent = await friend.device('laptop').send('for one of the two')
  await holds(() => new Set(elsewhere).size === 2, 30_000)
  await pause(2_000)
  const arrived = machines.flatMap((machine) => machine.inbox()).length
  const waits = friend.outbox().map(({ waitsFor }) => waitsFor)
  return unless(
    {
      'nobody notices': !isNoticed || !codes(friend).includes('device-copied'),
      'a message goes to one of the two': sent.status === 'delivered' || arrived > 0,
      'the sender is not told why it waits': waits.some(
        (reason) => reason !== 'one-copy' && reason !== 'device',
      ),
      'a machine is not told': !machines.every((machine) => codes(machine).includes('identity-elsewhere')),
      'it is told again and again': copied > 1,
    },
    'noticed by all three, and the message waits',
  )
}

function codes(node: SpacedockNode): string[] {
  return node.status().notices.map(({ code }) => code)
}

async function putBack(scene: Scene): Promise<Verdict> {
  const friend = await scene.node('friend')
  const dataDir = scene.directory()
  const first = await scene.node('laptop', { dataDir })
  await pairNodes(friend, first)
  await first.close()
  const backup = copyOf(scene, dataDir)
  const later = await scene.node('laptop', { dataDir })
  for (const text of ['one', 'two', 'three']) await arrive(friend, later, text)
  const read = Math.max(...later.inbox().map(({ sequence }) => sequence))
  await later.close()
  rmSync(dataDir, { recursive: true })
  cpSync(backup, dataDir, { recursive: true })
  chmodSync(dataDir, 0o700)
  const again = await scene.node('laptop', { dataDir })
  await arrive(friend, again, 'four')
  const [notice] = again.status().notices
  return unless(
    {
      'what is new is hidden behind the last number that was read': again.inbox({ after: read }).length !== 1,
      'nobody is told': notice?.code !== 'put-back',
    },
    'a new number, and a notice',
  )
}

function copyOf(scene: Scene, directory: string): string {
  const copy = scene.directory()
  cpSync(directory, copy, { recursive: true })
  return copy
}

async function arrive(from: SpacedockNode, to: SpacedockNode, text: string): Promise<void> {
  await from.device(to.id).send(text)
  if (!(await holds(() => to.inbox().some((message) => message.text === text), 30_000)))
    throw new Error(`"${text}" does not arrive`)
}

async function holds(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  const giveUpAt = performance.now() + timeoutMs
  while (!condition() && performance.now() < giveUpAt) await pause(20)
  return condition()
}
