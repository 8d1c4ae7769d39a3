import { presenceEpoch, presenceKeys } from '../../src/pairing/presence-keys.ts'
import { chainAt, presenceReaderKeys } from '../../src/pairing/presence-chain.ts'
import { encodeAddressRecord, recordRoutingKey } from '../../src/pairing/address-record.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { peerOf } from '../../src/libp2p-peer.ts'
import { openStore } from '../../src/store/store.ts'
import { rendezvousServer } from './dht-records.ts'
import { HostileDht } from './hostile-dht.ts'
import { pairNodes, pause, until, type Scene } from './scene.ts'
import { unless, type Threat, type Verdict } from './threat.ts'

/** Whoever has copied a device's data directory, once. */
export const threats: Threat[] = [
  {
    row: 47,
    title: 'a copy of a data directory leads to no record of the past, and writes none',
    attack: copyDirectory,
    seconds: 4,
    without: [
      {
        what: 'keys that do not follow from the pairing',
        patches: [
          {
            file: 'src/node/presence-chains.ts',
            find: `    if (state === undefined) return 'none'\n`,
            replace: `    if (peer.length > 0) return 'pairing'\n    if (state === undefined) return 'none'\n`,
          },
        ],
      },
      {
        what: 'the signer that only the writer has',
        patches: [
          {
            file: 'src/pairing/presence-chain.ts',
            find: `return { publicKey: blinded, signer: null, recordKey: recordKeyOf(suite, key) }`,
            replace: `const { publicKey: shared, ...signer } = blindedSigner(key, blindingOf(suite, key)); return { publicKey: blinded ?? shared, signer: { publicKey: blinded, ...signer }, recordKey: recordKeyOf(suite, key) }`,
          },
        ],
      },
    ],
  },
]

async function copyDirectory(scene: Scene): Promise<Verdict> {
  const { address } = await rendezvousServer(scene)
  const dataDir = scene.directory()
  const alice = await scene.node('alice', { rendezvous: [address] })
  const bob = await scene.node('bob', { rendezvous: [address], dataDir })
  const mallory = await HostileDht.start({ answer: () => ({}) })
  scene.after(() => mallory.stop())
  await pairNodes(alice, bob)
  await until(() => bob.devices().some(({ state }) => state === 'connected'), 'a session', 10_000)
  const epoch = presenceEpoch(Date.now())
  // Records are written as soon as the two have told each other their keys, or, without that, at once.
  await pause(2_000)
  await bob.close()
  const stolen = openStore({ dataDir })
  scene.after(() => stolen.close())
  const peer = peerOf(alice)
  const pairKey = stolen.trust.get(peer)?.pairKey
  if (pairKey === undefined || pairKey === null) throw new Error('bob is not paired')
  const byPairing = presenceKeys(suite1, pairKey, peer, epoch)
  const found = await mallory.get(address, await recordRoutingKey(byPairing))
  const others = stolen.presence.get(peer)?.others
  const now = others === undefined || others === null ? null : chainAt(suite1, others, epoch)
  const past = others === undefined || others === null ? null : chainAt(suite1, others, epoch - 2)
  const current =
    now === null ? null : await mallory.get(address, await recordRoutingKey(presenceReaderKeys(suite1, now)))
  const forged = now === null ? false : await isForged(presenceReaderKeys(suite1, now), peer)
  return unless(
    {
      'the key of the pairing leads to the record': found !== null,
      'the chain leads back': past !== null,
      'a record is forged': forged,
      'there is no record at all': current === null,
    },
    'the record of now is found, none of before, and none can be written',
  )
}

async function isForged(keys: ReturnType<typeof presenceReaderKeys>, peer: string): Promise<boolean> {
  const content = { peer, addresses: ['/ip4/20.3.4.5/tcp/1'] }
  const validUntil = new Date(Date.now() + 86_400_000).toISOString()
  const stamp = { sequence: 1_000n, validUntil, nonce: new Uint8Array(32) }
  return encodeAddressRecord(suite1, keys, content, stamp).then(
    () => true,
    () => false,
  )
}
