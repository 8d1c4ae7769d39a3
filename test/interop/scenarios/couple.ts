import assert from 'node:assert/strict'
import type { Device, NodeOptions, SpacedockNode } from '../../../src/api.ts'
import { until } from '../../network/real-hosts.ts'
import type { ForeignDevice } from '../foreign-device.ts'
import type { Stage } from '../scenario.ts'

export const roles = ['dialer', 'listener'] as const
export type Role = (typeof roles)[number]

/** A node of ours and a foreign device that are paired and connected. */
export interface Couple {
  node: SpacedockNode
  theirs: ForeignDevice
  /** The foreign device, as our node has it. */
  device: Device
}

/** `role`: what the foreign device is in their session. `setUp` comes before they meet. */
export async function couple(
  stage: Stage,
  role: Role,
  setUp: (node: SpacedockNode) => void = () => {},
  options: Partial<NodeOptions> = {},
): Promise<Couple> {
  const node = await stage.node('alice', options)
  setUp(node)
  // One that listens nowhere cannot be dialled.
  const theirs = await stage.theirs('bob', role === 'dialer' ? { listen: [] } : {})
  const invitation = await node.pair()
  const peers = node.status().listen
  await theirs.call('join', { words: invitation.words, peers, ask: false, timeoutMs: 30_000 })
  const device = await invitation.paired
  await theirs.event('paired')
  if (role === 'dialer') {
    // Over the connection of the pairing, our node may have opened a session: this one comes after all that.
    await theirs.down()
    await until(() => device.state !== 'connected', 'the foreign device is away')
    await theirs.up()
    await theirs.call('connect', { peerId: node.peerId, addresses: peers })
  }
  await theirs.event('connected', (line) => line.role === role)
  await until(() => device.state === 'connected', 'the foreign device is connected')
  assert.equal(device.path, 'direct')
  return { node, theirs, device }
}
