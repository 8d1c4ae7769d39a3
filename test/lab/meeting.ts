import assert from 'node:assert/strict'
import { pairDevices, type TestDevice } from '../device.ts'
import type { Stage } from './scene.ts'

/** What paired devices do when all is well. */

export async function connectedBothWays(one: TestDevice, other: TestDevice): Promise<void> {
  await Promise.all([one.waitForState(other.name, 'connected'), other.waitForState(one.name, 'connected')])
}

/** A message each way, acknowledged as durable by the receiver, and there. */
export async function talkBothWays(one: TestDevice, other: TestDevice): Promise<void> {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    const text = `from ${from.name} to ${to.name}`
    const { code, lines, stderr } = await from.cli(['send', to.name, text])
    assert.equal(code, 0, stderr)
    assert.equal(lines[0]?.event, 'delivered')
    const inbox = await to.cli(['inbox'])
    assert.ok(inbox.lines.some((line) => line.from?.name === from.name && line.text === text))
  }
}

/** Two on one LAN, paired and connected. */
export async function pairedDevices({ lab, device }: Stage) {
  const home = await lab.lan('home', { ipv4: '10.1.0.0/24' })
  const alice = await device('alice', [home])
  const bob = await device('bob', [home])
  await Promise.all([alice.device.up(), bob.device.up()])
  await pairDevices(alice.device, bob.device)
  await connectedBothWays(alice.device, bob.device)
  return { home, alice, bob }
}
