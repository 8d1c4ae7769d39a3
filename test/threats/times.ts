import { HandInitiator } from './hand-initiator.ts'
import { HandJoiner } from './hand-joiner.ts'
import { openSessionByHand } from './hand-session.ts'
import {
  addressOf,
  codeOf,
  outcomeOf,
  pause,
  stillPairs,
  tryJoin,
  until,
  within,
  type Scene,
} from './scene.ts'
import { dayMs, SteeredClock } from './steered-clock.ts'
import { succeeded, unless, withstood, type Threat, type Verdict } from './threat.ts'
import { asPeer } from '../peers.ts'

/** Clocks that are wrong, and last words that are lost. */
export const threats: Threat[] = [
  {
    row: 16,
    title: 'a wall clock that is off by a day, or jumps, changes no expiry',
    attack: turnClocks,
    without: [
      {
        what: "the initiator's monotonic clock",
        patches: [
          {
            file: 'src/protocols/machine-run.ts',
            find: `now: clock.monotonic(),`,
            replace: `now: this.#machine.role === 'initiator' ? clock.wall() : clock.monotonic(),`,
          },
          {
            file: 'src/protocols/invitation-runner.ts',
            find: `startInitiator(components.clock.monotonic() + invitationLifetimeMs)`,
            replace: `startInitiator(components.clock.wall() + invitationLifetimeMs)`,
          },
        ],
      },
      {
        what: "the joiner's monotonic clock",
        patches: [
          {
            file: 'src/protocols/machine-run.ts',
            find: `now: clock.monotonic(),`,
            replace: `now: this.#machine.role === 'joiner' ? clock.wall() : clock.monotonic(),`,
          },
          {
            file: 'src/protocols/join-runner.ts',
            find: `startJoiner(components.clock.monotonic() + run.timeoutMs)`,
            replace: `startJoiner(components.clock.wall() + run.timeoutMs)`,
          },
        ],
      },
    ],
  },
  {
    row: 33,
    title:
      'when Complete or Confirmed is lost, the initiator repeats itself, and its pending row heals or expires',
    attack: loseForInitiator,
    without: [
      {
        what: 'the stored Complete',
        patches: [
          {
            file: 'src/pairing/initiator.ts',
            find: `return answer(state, state.agreement.complete)`,
            replace: `return silence(state)`,
          },
        ],
      },
      {
        what: 'the last word kept in the pending row',
        patches: [
          {
            file: 'src/protocols/pairing-service.ts',
            find: `this.#confirmAfterRestart(peer, message.acknowledgement)`,
            replace: `null`,
          },
        ],
      },
      {
        what: 'the end of unfinished pairings',
        patches: [
          {
            file: 'src/store/trust.ts',
            find: `atMs - record.changedAtMs >= provisionalLifetimeMs`,
            replace: `false`,
          },
        ],
      },
    ],
  },
  {
    row: 33,
    title:
      "when the answer to Confirmed is lost, the joiner's confirming row heals by the next session, or expires",
    attack: loseForJoiner,
    without: [
      {
        what: 'the healing by a session',
        patches: [
          {
            file: 'src/node/trusted-peers.ts',
            find: `    this.#finish(peer)\n    if (acknowledgement !== null) this.#onConfirmed`,
            replace: `    if (acknowledgement !== null) this.#onConfirmed`,
          },
        ],
      },
      {
        what: 'the end of unfinished pairings',
        patches: [
          {
            file: 'src/store/trust.ts',
            find: `atMs - record.changedAtMs >= provisionalLifetimeMs`,
            replace: `false`,
          },
        ],
      },
    ],
  },
]

async function turnClocks(scene: Scene): Promise<Verdict> {
  const clock = new SteeredClock()
  const alice = await scene.node('alice', { clock })
  for (const [what, byMs] of [
    ['a day ahead', dayMs],
    ['a day behind', -2 * dayMs],
  ] as const) {
    const invitation = await alice.pair()
    clock.jump(byMs)
    if (!(await stillPairs(scene, alice, invitation)))
      return succeeded(`a clock that jumps to ${what} ends the code`)
  }
  const invitation = await alice.pair()
  const thief = await HandJoiner.start(scene, alice, invitation.words)
  clock.pass(299_000)
  clock.jump(-dayMs)
  const inTime = await thief.request()
  if (inTime?.type !== 'Challenge') return succeeded('the code ends before its five minutes')
  clock.pass(1_001)
  clock.jump(-dayMs)
  thief.renew()
  const late = await thief.request()
  if (late?.type !== 'Refused' || late.reason !== 'expired')
    return succeeded('a clock that is set back keeps the code alive')

  // The joiner looks until its own deadline, whatever the calendar says.
  const bobsClock = new SteeredClock()
  const bob = await scene.node('bob', { clock: bobsClock })
  const mute = await HandInitiator.start(scene, () => {
    bobsClock.jump(-dayMs)
    return null
  })
  const joining = tryJoin(bob, mute.words, [mute.raw.address], { timeoutMs: 1_500 })
  const ended = await Promise.race([joining, pause(8_000).then(() => 'still looking')])
  if (ended !== 'not-found') return succeeded(`the joiner's clock is set back: ${outcomeOf(ended)}`)
  return withstood('jumps of a day, both ways, on both sides: five minutes stay five minutes')
}

async function loseForInitiator(scene: Scene): Promise<Verdict> {
  const clock = new SteeredClock()
  const dataDir = scene.directory()
  let alice = await scene.node('alice', { clock, dataDir })
  const restart = async (): Promise<void> => {
    await alice.close()
    alice = await scene.node('alice', { clock, dataDir })
  }

  // The Complete arrives nowhere, three times; each time the joiner is connected anew.
  const invitation = await alice.pair()
  const bob = await HandJoiner.start(scene, alice, invitation.words, 'bob')
  const challenge = await bob.challenge()
  await bob.awaitComplete(challenge)
  for (let loss = 0; loss < 3; loss++) {
    for (const connection of bob.raw.libp2p.getConnections()) connection.abort(new Error('lost'))
    await until(() => bob.raw.libp2p.getConnections().length === 0, 'the end of the connection')
    const again = await bob.respondAgain()
    if (again?.type !== 'Complete') return succeeded('a lost Complete is lost for good')
  }
  const agreement = bob.agree(await bob.respondAgain())
  // The last word does not arrive either.
  clock.pass(120_001)
  const told = await within(
    invitation.paired.then(() => 'paired', codeOf),
    'the end of the invitation',
  )
  if (told !== 'interrupted') return succeeded(`the initiator reports: ${told}`)
  if (alice.devices().length > 0) return succeeded('an unconfirmed device is trusted')
  await restart()
  if (alice.devices().length > 0) return succeeded('an unconfirmed device is trusted after a restart')
  const late = await bob.confirm(agreement)
  if (late?.type !== 'Acknowledged') return succeeded('a late last word does not heal the pairing')
  const repeated = await bob.confirm(agreement)
  if (repeated?.type !== 'Acknowledged') return succeeded('a repeated last word is not answered')
  if (alice.devices().length !== 1) return succeeded('the healed device is not there')

  // One that never says its last word is forgotten.
  const second = await alice.pair()
  const carol = await HandJoiner.start(scene, alice, second.words, 'carol')
  const carolsAgreement = carol.agree(await carol.awaitComplete(await carol.challenge()))
  clock.pass(7 * dayMs)
  await restart()
  const tooLate = await carol.confirm(carolsAgreement)
  return unless(
    {
      'an unfinished pairing never ends': tooLate !== null || alice.devices().length !== 1,
    },
    'Complete repeated over new connections; pending heals after a restart, and ends after seven days',
  )
}

async function loseForJoiner(scene: Scene): Promise<Verdict> {
  const clock = new SteeredClock()
  const dataDir = scene.directory()
  const bob = await scene.node('bob', { clock, dataDir })
  const silent = (): Promise<HandInitiator> =>
    HandInitiator.start(scene, (own, message, peer) =>
      message.type === 'Confirmed' ? null : own.honest(message, peer),
    )
  const join = async (initiator: HandInitiator): Promise<string> => {
    const joining = tryJoin(bob, initiator.words, [initiator.raw.address])
    await until(() => initiator.heard.some(({ type }) => type === 'Confirmed'), 'the last word')
    clock.pass(60_001)
    const joined = await within(joining, 'the end of the join', 15_000)
    return typeof joined === 'string' ? joined : 'paired'
  }

  const alice = await silent()
  const told = await join(alice)
  if (told !== 'interrupted' || bob.devices().length > 0) return succeeded(`without an answer: ${told}`)
  const session = await openSessionByHand(alice.raw, addressOf(bob), alice.pairKey(asPeer(bob.peerId))).catch(
    () => null,
  )
  await until(() => bob.devices().length > 0, 'the device').catch(() => {})
  const [healed] = bob.devices()
  session?.abort(new Error('enough'))
  if (healed?.peerId !== alice.raw.peerId) return succeeded('a session does not heal the pairing')

  const carol = await silent()
  await join(carol)
  clock.pass(7 * dayMs)
  await bob.close()
  const restarted = await scene.node('bob', { clock, dataDir })
  const tooLate = await openSessionByHand(
    carol.raw,
    addressOf(restarted),
    carol.pairKey(asPeer(bob.peerId)),
  ).then(() => 'open', codeOf)
  return unless(
    {
      [`an unfinished pairing never ends: ${tooLate}`]:
        tooLate !== 'not-paired' || restarted.devices().length !== 1,
    },
    'confirming heals by the next session, and ends after seven days',
  )
}
