import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { addressOf, pause, type Scene } from './scene.ts'
import { succeeded, unless, type Threat, type Verdict } from './threat.ts'

/** Record of a TLS handshake, and of an alert. */
const handshake = 0x16

/** Between two paired devices that speak TLS. */
export const threats: Threat[] = [
  {
    row: 54,
    title: 'a recorded TLS hello, sent again, gets no answer that tells whose it was',
    attack: replayHello,
    without: [
      {
        what: 'the memory of identities',
        patches: [
          {
            file: 'src/network/transport/tls-secrets.ts',
            find: `decoded === null || this.#used.has(identity)`,
            replace: `decoded === null`,
          },
        ],
      },
    ],
  },
]

async function replayHello(scene: Scene): Promise<Verdict> {
  const [alice, bob] = [await scene.node('alice'), await scene.node('bob')]
  const port = Number(/tcp\/(\d+)/u.exec(addressOf(alice))?.[1])
  const recorder = new Recorder(port)
  scene.after(() => recorder.close())
  const invitation = await alice.pair()
  const between = addressOf(alice).replace(`/tcp/${port}`, `/tcp/${await recorder.port()}`)
  await bob.join(invitation.words, { peers: [between], timeoutMs: 10_000 })
  await invitation.paired
  for (let waits = 0; waits < 1_000 && recorder.hello === null; waits++) await pause(50)
  if (recorder.hello === null) return succeeded('no TLS was spoken')
  const answer = await firstByte(port, recorder.hello)
  return unless(
    { 'the hello is answered once more': answer === handshake },
    `an alert (${answer}), as for any other hello`,
  )
}

/** Passes everything on to a port, and keeps the first TLS hello. */
class Recorder {
  hello: Buffer | null = null
  readonly #server: Server

  constructor(port: number) {
    this.#server = createServer((near) => {
      const far = connect({ port, host: '127.0.0.1' })
      near.on('error', () => far.destroy())
      far.on('error', () => near.destroy())
      near.once('data', (first: Buffer) => {
        if (first[0] === handshake) this.hello ??= first
      })
      near.pipe(far).pipe(near)
    }).listen(0, '127.0.0.1')
  }

  async port(): Promise<number> {
    if (!this.#server.listening) await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  close(): void {
    this.#server.close()
  }
}

async function firstByte(port: number, bytes: Buffer): Promise<number | undefined> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.write(bytes)
  const [first] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return first[0]
}
