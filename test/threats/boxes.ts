import type { Device, SpacedockNode } from '../../src/index.ts'
import { addressOf, pairNodes, pause, type Scene } from './scene.ts'
import { unless, type Threat, type Verdict } from './threat.ts'

/** Threat 48: a paired device that means harm, or has a defect, sends without end. */
export const threats: Threat[] = [
  {
    row: 48,
    title: 'a paired device that floods the inbox loses nobody a message, and waits itself',
    attack: flood,
    without: [
      {
        what: 'the share of each sender',
        patches: [
          {
            file: 'src/store/inbox-shares.ts',
            find: `Math.floor((freeMessages - held.messages + 1) / 2)`,
            replace: `freeMessages`,
          },
        ],
      },
      {
        what: 'the refusal of what does not fit',
        patches: [
          {
            file: 'src/store/inbox.ts',
            find: `if (arriving.messages > 0 && !fits(arriving, room)) return { room }`,
            replace: `if (arriving.messages < 0 && !fits(arriving, room)) return { room }`,
          },
        ],
      },
      {
        what: 'the receipt only of what was stored',
        patches: [
          {
            file: 'src/protocols/received-messages.ts',
            find: `if (!Array.isArray(acceptances)) throw this.#refusal(peer, messages.length, acceptances.room)`,
            replace: `if (!Array.isArray(acceptances)) return { stored: true }`,
          },
        ],
      },
    ],
  },
]

const limit = 60

async function flood(scene: Scene): Promise<Verdict> {
  const receiver = await scene.node('receiver', { messages: { inboxMessages: limit } })
  const [friend, flooder] = [await scene.node('friend'), await scene.node('flooder')]
  for (const sender of [friend, flooder]) await pairNodes(receiver, sender)
  const told: string[] = []
  receiver.addEventListener('inbox:full', ({ detail }) => told.push(detail.from))
  const held: string[] = []
  flooder.addEventListener('message:held', ({ detail }) => held.push(detail.to))
  const acknowledged = new Set<string>()
  for (const sender of [friend, flooder])
    sender.addEventListener('message:delivered', ({ detail }) => acknowledged.add(detail.id))

  const early = await sendAll(friend, receiver, 5)
  await sendAll(flooder, receiver, 1_000)
  const late = await sendAll(friend, receiver, 5)
  const isSettled = (): boolean => flooder.outbox().every(({ waitsFor }) => waitsFor === 'inbox-full')
  const didWait = await holds(isSettled, 10_000)
  const inbox = receiver.inbox()
  const lost = [...acknowledged].filter((id) => !inbox.some((message) => message.id === id))
  const waiting = flooder.outbox().length

  // Whoever takes messages out lets the next ones in, without a restart of anybody.
  await receiver.clearInbox()
  const goesOn = await holds(() => receiver.inbox().some(({ from }) => from.id === flooder.id), 30_000)
  return unless(
    {
      'messages that were acknowledged are gone': lost.length > 0,
      'more is kept than the limit says': inbox.length > limit,
      'another device finds the inbox taken': [...early, ...late].some((status) => status !== 'delivered'),
      'what did not fit is lost, or nobody is told why it waits': !didWait || waiting === 0,
      'the sender is not told': !held.includes(receiver.id),
      'the receiver is not told': !told.includes(flooder.id),
      'what waits does not go on when there is room': !goesOn,
    },
    `${inbox.length} kept, ${waiting} wait at their sender`,
  )
}

async function sendAll(from: SpacedockNode, to: SpacedockNode, count: number): Promise<string[]> {
  const device: Device = from.device(to.id)
  const sent = Array.from({ length: count }, (_, number) => device.send(`${addressOf(from)} ${number}`))
  return (await Promise.all(sent)).map(({ status }) => status)
}

async function holds(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  const giveUpAt = performance.now() + timeoutMs
  while (!condition() && performance.now() < giveUpAt) await pause(20)
  return condition()
}
