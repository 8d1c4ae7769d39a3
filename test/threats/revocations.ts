import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeFrames } from '../../src/network/session/frames.ts'
import { deriveRevocationNotice } from '../../src/pairing/revocation-notice.ts'
import { loadOrCreateIdentity } from '../../src/store/identity.ts'
import { openStore } from '../../src/store/store.ts'
import { HandJoiner } from './hand-joiner.ts'
import { openSessionByHand } from './hand-session.ts'
import { addressOf, codeOf, pairNodes, until, type Scene } from './scene.ts'
import { succeeded, withstood, type Threat, type Verdict } from './threat.ts'
import { asPeer } from '../peers.ts'

/** Those who would have a revocation forgotten, or make one up. */
export const threats: Threat[] = [
  {
    row: 30,
    title: 'a database put back to before a revocation is refused, and the revoked device stays out',
    attack: rollBack,
    without: [
      {
        what: 'the generation in the identity file',
        patches: [
          {
            file: 'src/store/trust.ts',
            find: `if (loaded.generation < identity.registryGeneration) {`,
            replace: `if (loaded.generation < 0) {`,
          },
        ],
      },
    ],
  },
  {
    row: 31,
    title:
      'who says "revoked" without the pair key, or repeats it after another pairing, ends nothing for good',
    attack: makeUpRevocations,
    without: [
      {
        what: 'the check of the revocation notice',
        patches: [
          {
            file: 'src/node/trusted-peers.ts',
            find: `isRevocationNotice(notice, record.pairKey, peer, identity.peerId)`,
            replace: `!isRevocationNotice(notice, record.pairKey, identity.peerId, peer)`,
          },
        ],
      },
    ],
  },
]

const databaseFile = 'spacedock.db'

async function rollBack(scene: Scene): Promise<Verdict> {
  const dataDir = scene.directory()
  const alice = await scene.node('alice', { dataDir })
  const invitation = await alice.pair()
  const phone = await HandJoiner.start(scene, alice, invitation.words, 'phone')
  const { pair } = await phone.pair()
  await invitation.paired
  await alice.close()
  const older = readFileSync(join(dataDir, databaseFile))
  const again = await scene.node('alice', { dataDir })
  const mayCome = await comesIn(phone, addressOf(again), pair.pairKey)
  if (mayCome !== 'a session') throw new Error(`the device is not let in before it is revoked: ${mayCome}`)
  await again.device('phone').revoke()
  await again.close()

  writeFileSync(join(dataDir, databaseFile), older)
  const opened = await scene.node('alice', { dataDir }).catch(codeOf)
  if (typeof opened !== 'string') {
    return succeeded(
      `it is opened, and the revoked device gets ${await comesIn(phone, addressOf(opened), pair.pairKey)}`,
    )
  }
  return opened === 'database-damaged'
    ? withstood('the older database is refused: database-damaged')
    : succeeded(`it fails with ${opened}`)
}

async function comesIn(phone: HandJoiner, address: string, pairKey: Uint8Array): Promise<string> {
  return openSessionByHand(phone.raw, address, pairKey).then(
    (session) => (session.abort(new Error('enough')), 'a session'),
    codeOf,
  )
}

/** The identity of a device was stolen, and what it said to end an earlier pairing was recorded. */
async function makeUpRevocations(scene: Scene): Promise<Verdict> {
  const dataDir = scene.directory()
  const alice = await scene.node('alice', { dataDir })
  const bob = await scene.node('bob')
  await pairNodes(alice, bob)
  await until(() => bob.device('alice').state === 'connected', 'the connection')
  const [, , , , port = ''] = addressOf(alice).split('/')
  await alice.close()
  const store = openStore({ dataDir })
  const earlierKey = store.trust.get(asPeer(bob.peerId))?.pairKey
  store.close()
  if (earlierKey === undefined) throw new Error('there is no earlier pairing')
  const again = await scene.node('alice', { dataDir })
  await pairNodes(again, bob)
  await until(() => bob.device('alice').state === 'connected', 'the connection')
  await again.close()

  const { seed } = loadOrCreateIdentity(dataDir)
  const notices = [
    new Uint8Array(randomBytes(32)),
    new Uint8Array(64),
    deriveRevocationNotice(earlierKey, again.peerId, bob.peerId),
    new Uint8Array(
      Buffer.concat([randomBytes(32), deriveRevocationNotice(earlierKey, again.peerId, bob.peerId)]),
    ),
  ]
  const device = bob.device('alice')
  for (const [number, notice] of notices.entries()) {
    const thief = await scene.rawPeer({ seed, port: Number(port) })
    await thief.libp2p.handle('/spacedock/session/1.0.0', async (stream) => {
      stream.send(encodeFrames([{ type: 'revoked', more: false, channel: 0, payload: notice }]))
      await stream.close().catch(() => {})
    })
    await until(() => device.state === 'needs-pairing', 'the refusal', 20_000)
    if (device.needsPairing === 'revoked') {
      return succeeded(`after revocation notice ${number + 1} bob believes that he was revoked`)
    }
    await thief.stop()
    const real = await scene.node('alice', { dataDir })
    await until(() => device.state === 'connected', 'the real one', 20_000)
    await real.close()
  }
  return withstood(
    `${notices.length} made-up and repeated notices are no more than "unknown"; the real device is connected afterwards`,
  )
}
