import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { CrashPoint } from '../e2e/crash-points.ts'
import { within } from '../network/real-hosts.ts'
import { DevicePool, KillableDevice } from '../e2e/killable-device.ts'
import { startPairing } from '../e2e/running-pairing.ts'

/**
 * Threats 32 and 33, by real processes: one side of a pairing is killed at every point where something is written down,
 * and around every message. Afterwards either both sides are paired and connected, or neither is and a new code works.
 */

type Outcome = 'healed' | 'ended'

interface Kill {
  victim: 'initiator' | 'joiner'
  at: CrashPoint
  /** Whose point it is. The victim dies at its own; at one of the other side it is killed while that stands still. */
  of: 'victim' | 'other'
  outcome: Outcome
  /** When both sides are killed at that moment. */
  outcomeOfBoth: Outcome
}

const kills: readonly Kill[] = [
  ...victimDies('joiner', 'ended', [
    'Challenge received',
    'Complete received',
    'confirming: before it is committed',
  ]),
  ...victimDies('joiner', 'healed', [
    'confirming: committed',
    'Acknowledged received',
    'active: before it is committed',
    'active: committed',
    'identity file: staged',
    'identity file: published',
  ]),
  ...victimDies('initiator', 'ended', [
    'Challenge to be sent',
    'Response received',
    'pending: before it is committed',
    'pending: committed',
  ]),
  ...victimDies('initiator', 'healed', [
    'Confirmed received',
    'active: before it is committed',
    'active: committed',
    'identity file: staged',
    'identity file: published',
  ]),
  // What the victim has sent has arrived, and nothing came of it yet.
  { victim: 'joiner', of: 'other', at: 'Challenge to be sent', outcome: 'ended', outcomeOfBoth: 'ended' },
  { victim: 'joiner', of: 'other', at: 'Response received', outcome: 'ended', outcomeOfBoth: 'ended' },
  { victim: 'joiner', of: 'other', at: 'Confirmed received', outcome: 'healed', outcomeOfBoth: 'healed' },
  { victim: 'initiator', of: 'other', at: 'Challenge received', outcome: 'ended', outcomeOfBoth: 'ended' },
  { victim: 'initiator', of: 'other', at: 'Complete received', outcome: 'healed', outcomeOfBoth: 'ended' },
  {
    victim: 'initiator',
    of: 'other',
    at: 'Acknowledged received',
    outcome: 'healed',
    outcomeOfBoth: 'healed',
  },
]

function victimDies(victim: Kill['victim'], outcome: Outcome, points: CrashPoint[]): Kill[] {
  return points.map((at) => ({ victim, at, of: 'victim', outcome, outcomeOfBoth: outcome }))
}

type Killed = 'one side' | 'both sides'

/** What the two databases hold is all that is left when both sides are killed; each of these leaves something else. */
const killsOfBoth = kills.filter(
  ({ victim, of, at }) =>
    at.endsWith(': committed') ||
    (of === 'other' && (at === 'Complete received' || at === 'Confirmed received')) ||
    (victim === 'joiner' && (at === 'Acknowledged received' || at === 'Challenge received')),
)

describe('threat 32: kill -9 in the middle of a pairing', { concurrency: 3, timeout: 900_000 }, () => {
  const others = new DevicePool('other')
  after(() => others.close())

  for (const killed of ['one side', 'both sides'] as const) {
    for (const kill of killed === 'one side' ? kills : killsOfBoth) {
      const place = kill.of === 'victim' ? kill.at : `the other side has ${kill.at}`
      const outcome = killed === 'one side' ? kill.outcome : kill.outcomeOfBoth
      test(`${kill.victim} at "${place}", ${killed}: ${outcome}`, async (context) => {
        const other = await others.take()
        await killAndRestart(kill, killed, other)
        others.giveBack(other)
        context.diagnostic(
          `${kill.victim.padEnd(9)} | ${place.padEnd(45)} | ${killed.padEnd(10)} | ${outcome}`,
        )
      })
    }
  }
})

test('threat 32: an initiator is killed and back while the joiner is still being asked: healed by a yes', async () => {
  await using initiator = await KillableDevice.make('initiator')
  await using joiner = await KillableDevice.make('joiner')
  await Promise.all([initiator.up(), joiner.up()])
  const { peerId: initiatorPeer } = await initiator.call('status', {})
  const { peerId: joinerPeer } = await joiner.call('status', {})
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<boolean>()
  using pairing = await startPairing(initiator, joiner, {
    joinerDecides: () => {
      asked.resolve()
      return answer.promise
    },
  })
  await asked.promise
  await initiator.kill9()
  await initiator.up()
  // It looks for the joiner, who does not know it yet; that must not be taken for the last word.
  await initiator.logged((line) => line.includes('device.disowned-us'))
  answer.resolve(true)
  const { device } = await within(pairing.joining, 'the end of the join')
  assert.equal(device.peerId, initiatorPeer)
  await Promise.all([initiator.untilConnected(joinerPeer), joiner.untilConnected(initiatorPeer)])
})

async function killAndRestart(kill: Kill, killed: Killed, other: KillableDevice): Promise<void> {
  const outcome = killed === 'one side' ? kill.outcome : kill.outcomeOfBoth
  await using victim = await KillableDevice.make('victim')
  await victim.upWithCrashPoints()
  const [initiator, joiner] = kill.victim === 'initiator' ? [victim, other] : [other, victim]
  const { peerId: victimPeer, id: victimId } = await victim.call('status', {})
  const { peerId: otherPeer } = await other.call('status', {})

  if (kill.of === 'victim') await victim.arm({ at: kill.at, action: 'die' })
  else await other.arm({ at: kill.at, action: 'stop' })
  using pairing = await startPairing(initiator, joiner)
  if (kill.of === 'victim') {
    await victim.reached(kill.at)
    await victim.died()
  } else {
    await other.reached(kill.at)
    await victim.kill9()
  }
  if (killed === 'both sides') await other.kill9()
  else if (kill.of === 'other') await other.resume(kill.at)
  await Promise.all([victim.up(), ...(killed === 'both sides' ? [other.upWithCrashPoints()] : [])])

  if (outcome === 'ended') {
    for (const [device, peer] of [
      [victim, otherPeer],
      [other, victimPeer],
    ] as const) {
      assert.equal(await device.stateOf(peer), null, `${device.name} shows a device that is not paired`)
      const rows = device.trustRowsOf(peer)
      assert.ok(
        rows.every((row) => row === 'pending' || row === 'confirming'),
        `${device.name} has ${rows.join()}`,
      )
    }
    // At once, with all that is left over, and with the command of the first pairing still waiting.
    using again = await startPairing(initiator, joiner)
    await within(Promise.all(again.calls), 'the second pairing')
  } else if (killed === 'one side') {
    const surviving = kill.victim === 'initiator' ? pairing.joining : pairing.inviting
    const { device } = await within(surviving, 'the end of the command that survived')
    assert.equal(device.peerId, victimPeer)
  }
  await Promise.all([victim.untilConnected(otherPeer), other.untilConnected(victimPeer)])
  // Called off or not, what is left of the first pairing must not undo this.
  pairing.callOff()
  await Promise.allSettled(pairing.calls)
  await exchangeMessages(victim, victimPeer, other, otherPeer)
  assert.deepEqual([victim.trustRowsOf(otherPeer), other.trustRowsOf(victimPeer)], [['active'], ['active']])
  await other.call('revoke', { device: victimId })
}

async function exchangeMessages(
  victim: KillableDevice,
  victimPeer: string,
  other: KillableDevice,
  otherPeer: string,
): Promise<void> {
  for (const [from, to, peer] of [
    [victim, other, otherPeer],
    [other, victim, victimPeer],
  ] as const) {
    const text = `from ${from.name}`
    const { devices } = await from.call('devices', {})
    const device = devices.find(({ peerId }) => peerId === peer)
    assert.ok(device)
    const sent = await from.call('send', { device: device.id, content: { text } })
    assert.equal(sent.status, 'delivered')
    const inbox = await to.events('inbox', { follow: false })
    const { id } = await from.call('status', {})
    assert.deepEqual(
      inbox.filter((message) => message.from.id === id).map((message) => message.text),
      [text],
    )
  }
}
