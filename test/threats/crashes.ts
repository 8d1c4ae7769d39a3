import { KillableDevice } from '../e2e/killable-device.ts'
import type { CrashPoint } from '../e2e/crash-points.ts'
import { startPairing } from '../e2e/running-pairing.ts'
import { withoutSeenIds, withoutWaitingForReceipts } from './message-patches.ts'
import { RealDaemon } from './real-daemon.ts'
import { pause, type Scene } from './scene.ts'
import { succeeded, withstood, type Patch, type Threat, type Verdict } from './threat.ts'

/** Threat 32, at the points that tell most; test/e2e kills at all of them. */
export const threats: Threat[] = [
  {
    row: 32,
    title: 'kill -9 while a pairing is written down leaves nothing one-sided',
    attack: killPairings,
    seconds: 30,
    without: [
      {
        what: 'the healing of unfinished pairings',
        patches: [
          {
            file: 'src/node/trusted-peers.ts',
            find: `    this.#finish(peer)\n    if (acknowledgement !== null) this.#onConfirmed`,
            replace: `    if (acknowledgement !== null) this.#onConfirmed`,
          },
        ],
      },
    ],
  },
  {
    row: 32,
    title: 'kill -9 while a message is stored or acknowledged loses none and doubles none',
    attack: killMessages,
    seconds: 40,
    without: [
      {
        what: 'the ids that were seen',
        patches: withoutSeenIds,
      },
      {
        what: 'the wait for the receipt',
        patches: withoutWaitingForReceipts,
      },
    ],
  },
]

async function killPairings(scene: Scene): Promise<Verdict> {
  const kills: { victim: 'alice' | 'bob'; at: CrashPoint }[] = [
    { victim: 'bob', at: 'Acknowledged received' },
    { victim: 'alice', at: 'pending: committed' },
    { victim: 'alice', at: 'active: committed' },
    { victim: 'bob', at: 'confirming: committed' },
  ]
  const seen: string[] = []
  for (const { victim, at } of kills) {
    const alice = await KillableDevice.make('alice')
    const bob = await KillableDevice.make('bob')
    scene.after(() => alice[Symbol.asyncDispose]())
    scene.after(() => bob[Symbol.asyncDispose]())
    await Promise.all([alice.upWithCrashPoints(), bob.upWithCrashPoints()])
    const killed = victim === 'alice' ? alice : bob
    await killed.arm({ at, action: 'die' })
    const pairing = await startPairing(alice, bob)
    for (const call of pairing.calls) call.catch(() => {})
    await killed.reached(at)
    await killed.died()
    await killed.upWithCrashPoints()
    // The one that lives goes on by itself for as long as it would; here it is called off.
    await pause(500)
    pairing.callOff()
    const outcome = await settle(alice, bob)
    if (outcome === 'one-sided') return succeeded(`${victim} killed at "${at}": one trusts alone`)
    seen.push(`${at}: ${outcome}`)
    await Promise.all([alice.kill9(), bob.kill9()])
  }
  return withstood(seen.join('; '))
}

/** What both sides come to, when there is nothing left that would change it. */
async function settle(alice: KillableDevice, bob: KillableDevice): Promise<'both' | 'neither' | 'one-sided'> {
  const [{ peerId: alicesId }, { peerId: bobsId }] = [
    await alice.call('status', {}),
    await bob.call('status', {}),
  ]
  const giveUpAt = performance.now() + 15_000
  for (;;) {
    const trusts = [alice.trustRowsOf(bobsId), bob.trustRowsOf(alicesId)].map((rows) =>
      rows.includes('active'),
    )
    if (trusts.every(Boolean)) return 'both'
    // One that knows that the other does not trust it any more shows it, and does not trust alone.
    if (trusts.every((trusting) => !trusting)) return 'neither'
    if (performance.now() > giveUpAt) return 'one-sided'
    await pause(100)
  }
}

const die = `process.kill(process.pid, 'SIGKILL')\n`

/** Points of a message's way at which one of the two devices is killed. */
export const messagePoints: Record<string, { victim: 'sender' | 'receiver'; patch: Patch }> = {
  'before it is sent': {
    victim: 'sender',
    patch: {
      file: 'src/protocols/messaging.ts',
      find: `    await connected()\n`,
      replace: `    ${die}    await connected()\n`,
    },
  },
  'before it is stored': {
    victim: 'receiver',
    patch: {
      file: 'src/protocols/received-messages.ts',
      find: `    const acceptances = inbox.accept(`,
      replace: `    ${die}    const acceptances = inbox.accept(`,
    },
  },
  'before it is acknowledged': {
    victim: 'receiver',
    patch: {
      file: 'src/protocols/received-messages.ts',
      find: `      log('debug', 'message.received', { peer, id: record.id, outcome })\n`,
      replace: `    ${die}`,
    },
  },
  'before it is taken out of the outbox': {
    victim: 'sender',
    patch: {
      file: 'src/protocols/messaging.ts',
      find: `\n      this.#components.outbox.remove(ids)\n`,
      replace: `\n      ${die}      this.#components.outbox.remove(ids)\n`,
    },
  },
}

async function killMessages(scene: Scene): Promise<Verdict> {
  const devices = {
    sender: await RealDaemon.start(scene, 'alice'),
    receiver: await RealDaemon.start(scene, 'bob'),
  }
  const pairing = devices.sender.spawn(['pair', '--yes'])
  const words = await pairing.line((line) => line.trim().split(' ').length === 12)
  const joined = await devices.receiver.run(
    ['join', '-', '--yes', '--peer', await devices.sender.address()],
    { input: words },
  )
  if (joined.code !== 0) throw new Error(`the pairing failed: ${joined.stderr}`)
  await pairing.finished()

  const sent: string[] = []
  for (const [what, { victim, patch }] of Object.entries(messagePoints)) {
    const { dataDir } = devices[victim]
    const name = victim === 'sender' ? 'alice' : 'bob'
    await devices[victim].process.stop()
    devices[victim] = await RealDaemon.start(scene, name, { dataDir, patches: [patch] })
    const text = `killed ${what}`
    sent.push(text)
    // It would wait for the receipt; that it is in the outbox is what counts.
    const sending = devices.sender.run(['send', 'bob', text])
    await devices[victim].process.exited
    devices[victim] = await RealDaemon.start(scene, name, { dataDir })
    // The next message shows that the one before has had its chance.
    const outcome = await arrived(devices.receiver, text)
    await sending
    if (!outcome) return succeeded(`a message is lost when the ${victim} is killed ${what}`)
  }
  await devices.sender.run(['send', 'bob', 'the last'])
  if (!(await arrived(devices.receiver, 'the last'))) return succeeded('nothing arrives any more')
  const texts = await inboxOf(devices.receiver)
  const wanted = [...sent, 'the last']
  return texts.join('\n') === wanted.join('\n')
    ? withstood(`${sent.length} kills: each message once, in order`)
    : succeeded(`arrived: ${texts.join(', ')}`)
}

async function arrived(receiver: RealDaemon, text: string): Promise<boolean> {
  const giveUpAt = performance.now() + 15_000
  while (!(await inboxOf(receiver)).includes(text)) {
    if (performance.now() > giveUpAt) return false
    await pause(100)
  }
  return true
}

async function inboxOf(receiver: RealDaemon): Promise<string[]> {
  const { stdout } = await receiver.run(['inbox', '--json'])
  const lines = stdout.split('\n').filter((line) => line !== '')
  return lines.map((line) => (JSON.parse(line) as { text: string }).text)
}
