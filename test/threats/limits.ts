import { connect, type Socket } from 'node:net'
import type { Stream } from '@libp2p/interface'
import { encodeMessage } from '../../src/pairing/pairing-messages.ts'
import { frameTypes, maxPayloadBytes } from '../../src/network/session/frames.ts'
import { FrameParser } from '../../src/network/session/frame-parser.ts'
import { HandJoiner } from './hand-joiner.ts'
import { openRawSession } from './hand-session.ts'
import { pairingProtocol } from './raw-peer.ts'
import { addressOf, pause, stillPairs, until, type Scene } from './scene.ts'
import { succeeded, unless, withstood, type Patch, type Threat, type Verdict } from './threat.ts'

const unboundedBuffer: Patch[] = [
  {
    file: 'src/network/bounded-buffer.ts',
    find: `    if (length > this.#maxBytes) return false\n`,
    replace: ``,
  },
  {
    file: 'src/network/bounded-buffer.ts',
    find: `Math.min(this.#maxBytes, Math.max(length, this.#bytes.byteLength * 2))`,
    replace: `Math.max(length, this.#bytes.byteLength * 2)`,
  },
  {
    file: 'src/network/request-response.ts',
    find: `    stream.maxReadBufferLength = maxBytes\n`,
    replace: ``,
  },
]

/** Too much, too long, too slow. */
export const threats: Threat[] = [
  {
    row: 23,
    title: 'a message of 4 KiB and one byte, or without an end, is reset at the cap',
    attack: endlessMessage,
    without: [
      {
        what: 'the cap on what is read',
        patches: [
          ...unboundedBuffer,
          {
            file: 'src/pairing/pairing-messages.ts',
            find: `  if (encoded.length > maxMessageLength) return null\n`,
            replace: ``,
          },
        ],
      },
    ],
  },
  {
    row: 23,
    title: 'a frame that claims 4 GiB is refused by its header, and nothing is kept for it',
    attack: hugeFrames,
    without: [
      {
        what: 'the check of the length',
        patches: [
          {
            file: 'src/network/session/frame-parser.ts',
            find: `if (length > max) throw tooLong(type, length)`,
            replace: `if (length < 0) throw tooLong(type, length)`,
          },
        ],
      },
    ],
  },
  {
    row: 24,
    title:
      '1,000 half-open streams and a byte a second are ended by a deadline; an honest pairing succeeds meanwhile',
    attack: slowloris,
    seconds: 60,
    without: [
      {
        what: 'the deadline for a question',
        patches: [
          {
            file: 'src/network/request-response.ts',
            find: `const readTimeoutMs = 10_000`,
            replace: `const readTimeoutMs = 600_000`,
          },
          {
            file: 'src/network/request-response.ts',
            find: `const exchangeTimeoutMs = 30_000`,
            replace: `const exchangeTimeoutMs = 600_000`,
          },
        ],
      },
    ],
  },
]

async function endlessMessage(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const thief = await HandJoiner.start(scene, alice, invitation.words)
  const text = encodeMessage(thief.candidate.request)
  const padded = (length: number): Uint8Array => {
    const bytes = new Uint8Array(length).fill(0x20)
    bytes.set(text)
    return bytes
  }
  const atCap = await thief.send(padded(4096))
  if (atCap?.type !== 'Challenge') return succeeded('a message of 4,096 bytes is not answered')
  const overCap = await thief.send(padded(4097))
  if (overCap !== null) return succeeded('a message of 4,097 bytes is answered')
  const megabyte = await thief.send(padded(1024 * 1024))
  if (megabyte !== null) return succeeded('a message of a megabyte is answered')

  const stream = await thief.raw.open(addressOf(alice), pairingProtocol)
  let sent = 0
  const chunk = new Uint8Array(8 * 1024).fill(0x20)
  // Few pieces: on a slow machine, too, a megabyte is there long before the deadline for a question.
  while (stream.status === 'open' && sent < 1024 * 1024) {
    stream.send(chunk)
    sent += chunk.length
    await pause(1)
  }
  if (stream.status === 'open') return succeeded(`${sent} bytes without an end are taken`)
  return (await stillPairs(scene, alice, invitation))
    ? withstood(`4,096 bytes pass, 4,097 do not; without an end: reset after ${sent} bytes`)
    : succeeded('the code no longer works')
}

async function hugeFrames(scene: Scene): Promise<Verdict> {
  const lengths = [maxPayloadBytes + 1, 16 * 1024 * 1024, 0xffff_ffff]
  for (const length of lengths) {
    const parser = new FrameParser()
    parser.push(header(length))
    try {
      parser.next()
    } catch {
      // Refused; what counts is what is kept.
    }
    if (parser.bufferedBytes > maxPayloadBytes + 16)
      return succeeded(`${parser.bufferedBytes} bytes are kept for a frame`)
  }
  const alice = await scene.node('alice')
  for (const length of lengths) {
    const invitation = await alice.pair()
    const phone = await HandJoiner.start(scene, alice, invitation.words)
    const { pair } = await phone.pair()
    const session = await openRawSession(phone.raw, phone.address, pair.pairKey)
    session.send(header(length))
    const ended = await Promise.race([session.ended.then(() => 'ended'), pause(30_000).then(() => 'open')])
    if (ended === 'open') return succeeded(`the session takes a frame of ${length} bytes`)
    await phone.raw.stop()
  }
  // The same to a stranger's first frame.
  const stranger = await scene.rawPeer()
  const stream = await stranger.open(addressOf(alice), '/spacedock/session/1.0.0')
  stream.send(header(0xffff_ffff))
  await until(
    () => stream.status !== 'open' || stream.readStatus === 'closed',
    "the end of the stranger's stream",
  )
  return withstood(`${lengths.length} lengths: the session is reset, and nothing is kept`)
}

function header(length: number): Uint8Array {
  const bytes = new Uint8Array(9)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, length)
  view.setUint8(4, frameTypes.request)
  view.setUint32(5, 1)
  return bytes
}

async function slowloris(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const streams: Stream[] = []
  const openSince = performance.now()
  for (let connection = 0; connection < 34; connection++) {
    const attacker = await scene.rawPeer()
    const over = await attacker.connect(addressOf(alice))
    // One first: streams that come before the connection is ready are turned away by libp2p itself.
    streams.push(await attacker.open(addressOf(alice), pairingProtocol, over))
    const opened = Array.from({ length: 29 }, () => attacker.open(addressOf(alice), pairingProtocol, over))
    streams.push(...(await Promise.all(opened)))
  }
  const atOnce = streams.filter(({ status }) => status === 'open').length
  // Connections that never begin their handshake, too.
  const [, , , , port = ''] = addressOf(alice).split('/')
  const sockets = Array.from({ length: 60 }, () => connect(Number(port), '127.0.0.1').on('error', () => {}))
  scene.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  const drip = setInterval(() => {
    for (const stream of streams) sendByte(stream)
    for (const socket of sockets) sendZero(socket)
  }, 1_000)
  scene.after(() => clearInterval(drip))
  const works = await stillPairs(scene, alice, invitation)
  // Ten seconds for a question; the rest is for a machine that has much to do.
  await until(() => streams.every(({ status }) => status !== 'open'), 'the end', 45_000).catch(() => {})
  const left = streams.filter(({ status }) => status === 'open').length
  const tookS = Math.round((performance.now() - openSince) / 1_000)
  return unless(
    { 'the honest pairing failed': !works, [`${left} streams are open after ${tookS} s`]: left > 0 },
    `${atOnce} streams at once, all ended after ${tookS} s (deadline 10 s each); an honest pairing succeeded`,
  )
}

function sendByte(stream: Stream): void {
  try {
    if (stream.status === 'open') stream.send(Uint8Array.of(0x20))
  } catch {
    // Reset meanwhile.
  }
}

function sendZero(socket: Socket): void {
  if (socket.writable) socket.write(Uint8Array.of(0))
}
