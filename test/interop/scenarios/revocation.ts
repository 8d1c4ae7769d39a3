import assert from 'node:assert/strict'
import { until } from '../../network/real-hosts.ts'
import type { ForeignProgram } from '../foreign-program.ts'
import { scenariosOf } from '../scenario.ts'
import { couple, roles } from './couple.ts'

/** Revocation by either side, to a device that is connected and to one that comes back. */
export function revocationScenarios(name: string, program: ForeignProgram | string): void {
  const scenario = scenariosOf(name, program)
  for (const role of roles) {
    scenario(`ours revokes theirs, which is told at once; theirs is the ${role}`, async (stage) => {
      const { node, theirs, device } = await couple(stage, role)
      await device.revoke()
      assert.equal((await theirs.event('revoked')).peerId, node.peerId)
      const { devices } = await theirs.call('devices')
      assert.deepEqual(devices, [{ peerId: node.peerId, name: 'alice', state: 'revoked' }])
    })

    scenario(`theirs revokes ours, which is told at once; theirs is the ${role}`, async (stage) => {
      const { node, theirs, device } = await couple(stage, role)
      await theirs.call('revoke', { peerId: node.peerId })
      await until(() => device.state === 'needs-pairing', 'ours knows that it was revoked')
      assert.equal(device.needsPairing, 'revoked')
      const failure = await theirs.fails('connect', { peerId: node.peerId })
      assert.equal(failure.code, 'not-paired')
    })
  }

  scenario('ours revokes theirs while it is away: told when it comes back', async (stage) => {
    const { node, theirs, device } = await couple(stage, 'dialer')
    await theirs.down()
    await until(() => device.state !== 'connected', 'the foreign device is away')
    await device.revoke()
    await theirs.up()
    const failure = await theirs.fails('connect', {
      peerId: node.peerId,
      addresses: node.status().listen,
    })
    assert.equal(failure.code, 'not-paired')
    assert.equal((await theirs.event('revoked')).peerId, node.peerId)
  })

  scenario('theirs revokes ours while nothing connects them: told when ours dials', async (stage) => {
    const { node, theirs, device } = await couple(stage, 'dialer')
    await theirs.down()
    await until(() => device.state !== 'connected', 'the foreign device is away')
    await theirs.up()
    await theirs.call('revoke', { peerId: node.peerId })
    // It has no address: ours dials a session over the connection that a ping of libp2p makes.
    await theirs.call('libp2pPing', { address: node.status().listen[0] })
    await until(() => device.state === 'needs-pairing', 'ours knows that it was revoked')
    assert.equal(device.needsPairing, 'revoked')
  })
}
