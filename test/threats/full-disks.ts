import { createSimulation } from '../../src/testing/index.ts'
import { codeOf, type Scene } from './scene.ts'
import { unless, type Threat, type Verdict } from './threat.ts'

/** Threat 51: a stolen device, and no space to write down that it is not trusted any more. */
export const threats: Threat[] = [
  {
    row: 51,
    title:
      'a device that is revoked on a full disk is cut off at once, and stays so when there is space again',
    attack: revokeOnFullDisk,
    without: [
      {
        what: 'the end of trust before it is written',
        patches: [
          {
            file: 'src/store/trust.ts',
            find: `      records.settled.set(peerId, tombstone)\n`,
            replace: ``,
          },
        ],
      },
      {
        what: 'the tries to write it down later',
        patches: [{ file: 'src/node/trusted-peers.ts', find: `      trust.writeUnwritten()\n`, replace: `` }],
      },
    ],
  },
]

async function revokeOnFullDisk(scene: Scene): Promise<Verdict> {
  const simulation = createSimulation({ seed: 51 })
  scene.after(() => simulation.close())
  const owner = await simulation.device('owner')
  const stolen = await simulation.device('stolen')
  await simulation.pair(owner, stolen)
  const stateOfStolen = (): string | undefined =>
    owner.node.devices().find(({ peerId }) => peerId === stolenPeer)?.state
  const stolenPeer = stolen.node.peerId
  await simulation.until(() => stateOfStolen() === 'connected')

  owner.fillDisk(true)
  const outcome = await simulation.until(
    owner.node
      .device('stolen')
      .revoke()
      .then(() => 'revoked', codeOf),
  )
  const isTold = owner.node.status().notices.some(({ code }) => code === 'revocation-unwritten')
  const cutOff = stateOfStolen()
  const isConnected = (): boolean => stolen.node.devices().some(({ state }) => state === 'connected')
  await simulation.pass(60_000)
  const comesBack = isConnected()
  owner.fillDisk(false)
  await simulation.pass(30_000)
  const isSettled = owner.node.status().notices.length === 0
  owner.crash()
  await simulation.until(owner.restart())
  await simulation.pass(60_000)
  return unless(
    {
      'it stays trusted': cutOff !== 'revoked',
      'it comes back': comesBack,
      'nobody is told that it is not written': outcome !== 'disk-full' || !isTold,
      'it is not written when there is space': !isSettled,
      'it is trusted again after a restart': stateOfStolen() !== 'revoked' || isConnected(),
    },
    'cut off at once, and written when there was space',
  )
}
