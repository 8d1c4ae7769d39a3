import { multiaddr } from '@multiformats/multiaddr'
import type { Stream } from '@libp2p/interface'
import { sessionProtocol } from '../../src/network/session/session.ts'
import { loadOrCreateIdentity } from '../../src/store/identity.ts'
import { addressOf, pairNodes, until, type Scene } from './scene.ts'
import { succeeded, unless, type Threat, type Verdict } from './threat.ts'

/** Somebody between two paired devices for whom the encryption of libp2p is none: he has the identity of either. */
export const threats: Threat[] = [
  {
    row: 55,
    title:
      'whoever breaks Noise, and passes the hello of two devices on, reads nothing that they say after it',
    attack: passHelloOn,
    without: [
      {
        what: 'the records that the pair key seals',
        patches: [
          {
            file: 'src/network/session/session.ts',
            find: `if (transport instanceof StreamTransport) transport.seal(seal, framed.endHello())`,
            replace: `if (seal.sends.length === 0) return undefined as never`,
          },
        ],
      },
    ],
  },
]

const secret = 'what is said at home stays at home'

async function passHelloOn(scene: Scene): Promise<Verdict> {
  const directories = [scene.directory(), scene.directory()] as const
  const [alice, bob] = await Promise.all([
    scene.node('alice', { dataDir: directories[0] }),
    scene.node('bob', { dataDir: directories[1] }),
  ])
  await pairNodes(alice, bob)
  await until(() => bob.device('alice').state === 'connected', 'the connection')
  const ports = [portOf(addressOf(alice)), portOf(addressOf(bob))] as const
  await Promise.all([alice.close(), bob.close()])
  const [seed, seedOfBob] = [
    loadOrCreateIdentity(directories[0]).seed,
    loadOrCreateIdentity(directories[1]).seed,
  ]

  // Each device finds him, and not the other one, where the other was.
  const asAlice = await scene.rawPeer({ seed, port: ports[0] })
  await scene.rawPeer({ port: ports[1] })
  const asBob = await scene.rawPeer({ seed: seedOfBob })
  const again = await scene.node('alice', { dataDir: directories[0] })
  const seen: Uint8Array[] = []
  await asAlice.libp2p.handle(sessionProtocol, async (fromBob) => {
    const connection = await asBob.libp2p.dial(multiaddr(addressOf(again)))
    const toAlice = await connection.newStream(sessionProtocol)
    pass(fromBob, toAlice, seen)
    pass(toAlice, fromBob, seen)
  })
  const bobAgain = await scene.node('bob', { dataDir: directories[1] })
  const sent = await bobAgain.device('alice').send({ text: secret })
  if (sent.status !== 'delivered') return succeeded('nothing was said, so nothing is shown')
  const said = Buffer.concat(seen).toString('latin1')
  return unless(
    { 'he reads the message': said.includes(secret) },
    `${said.length} bytes, none of them readable`,
  )
}

function pass(from: Stream, to: Stream, seen: Uint8Array[]): void {
  from.addEventListener('message', ({ data }) => {
    seen.push(data.slice())
    if (to.status === 'open') to.send(data)
  })
  from.addEventListener('close', () => to.abort(new Error('the other side has gone')))
}

function portOf(address: string): number {
  return Number(/tcp\/(\d+)/u.exec(address)?.[1])
}
