import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { HandJoiner } from './hand-joiner.ts'
import { openRawSession } from './hand-session.ts'
import { FuzzInput } from './fuzz-input.ts'
import { fuzz } from './fuzz-run.ts'
import { encodeMessage } from '../../src/pairing/pairing-messages.ts'
import { pairingProtocol } from './raw-peer.ts'
import { RealDaemon } from './real-daemon.ts'
import { addressOf, pause, stillPairs, type Scene } from './scene.ts'
import { succeeded, withstood, type Threat, type Verdict } from './threat.ts'

/** Threat 25: what no honest program would send. */
export const threats: Threat[] = [
  {
    row: 25,
    title: '10,000 damaged inputs for each decoder: nothing escapes, no crash, no leak',
    attack: damageEverything,
    seconds: 20,
    without: [
      {
        what: 'the catching of what the JSON parser throws',
        patches: [
          {
            file: 'src/pairing/strict-json.ts',
            find: `  } catch {\n    return null\n  }`,
            replace: `  } finally {\n    bytes.at(0)\n  }`,
          },
        ],
      },
      {
        what: 'the refusal of keys that are there twice',
        patches: [
          {
            file: 'src/pairing/strict-json.ts',
            find: `countKeysInText(text) === countKeys(value) ? { value } : null`,
            replace: `countKeysInText(text) >= countKeys(value) ? { value } : null`,
          },
        ],
      },
      {
        what: 'the limit of the nesting of JSON',
        patches: [
          {
            file: 'src/network/json-text.ts',
            find: `if (depth > maxJsonDepth) {`,
            replace: `if (depth > 10_000_000) {`,
          },
        ],
      },
    ],
  },
  {
    row: 25,
    title: 'a real node and a real daemon go on after noise on every protocol, port and socket',
    attack: noiseEverywhere,
    seconds: 15,
    without: [
      {
        what: 'the end of a session whose frames make no sense',
        patches: [
          {
            file: 'src/network/session/framed-stream.ts',
            find: `    } catch (error) {
      this.abort(error instanceof Error ? error : interrupted(error))
    } finally {`,
            replace: `    } finally {`,
          },
        ],
      },
    ],
  },
]

async function damageEverything(): Promise<Verdict> {
  const runs = 10_000
  // The same inputs in every run, so that what a missing defence lets through does not depend on luck; then some new ones.
  const newSeed = randomBytes(4).readUInt32LE()
  const known = await fuzz({ runs, seed: 25, stopsAtFailure: true })
  const [failure] =
    known.length > 0 ? known : await fuzz({ runs: runs / 4, seed: newSeed, stopsAtFailure: true })
  if (failure === undefined)
    return withstood(`${runs} inputs for each, and ${runs / 4} with the seed ${newSeed}`)
  return succeeded(failure.split('\n')[0] ?? failure)
}

async function noiseEverywhere(scene: Scene): Promise<Verdict> {
  let escaped: Error | undefined
  process.prependListener('uncaughtException', (error) => (escaped ??= error))
  const input = new FuzzInput(randomBytes(4).readUInt32LE())
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const paired = await alice.pair()
  const phone = await HandJoiner.start(scene, alice, paired.words)
  const { pair } = await phone.pair()

  const stranger = await scene.rawPeer()
  const connection = await stranger.connect(addressOf(alice))
  const examples = [encodeMessage(phone.candidate.request), encodeMessage({ type: 'Waiting' })]
  for (const protocol of [
    pairingProtocol,
    '/spacedock/session/1.0.0',
    '/spacedock/app/spacedock-message/1.0.0',
  ]) {
    for (let round = 0; round < 60; round++) {
      await stranger.askBytes(addressOf(alice), input.damaged(examples), { connection, protocol })
    }
  }
  // From a paired device, whose bytes go further.
  for (let round = 0; round < 25; round++) {
    const session = await openRawSession(phone.raw, phone.address, pair.pairKey)
    const frame = Uint8Array.of(
      0,
      0,
      0,
      4,
      input.pick([1, 2, 3, 4, 16, 17, 18, 19, 20, 21, 32, 33, 34, 36, 37, 38, 40, 41, 47]),
      0,
      0,
      0,
      input.below(4),
      1,
      2,
      3,
      4,
    )
    // Frames that make no sense, and once in a while what is no record.
    if (round % 5 === 4) session.sendUnsealed(input.damaged([frame]))
    else session.send(input.damaged([frame]))
    await pause(5)
    session.abort(new Error('enough'))
  }
  const [, , , , port = ''] = addressOf(alice).split('/')
  for (let round = 0; round < 40; round++) await throwAt(Number(port), input.bytes(input.below(2_000)))
  await pause(100)
  if (escaped !== undefined) return succeeded(`the process would have ended: ${escaped.message}`)
  if (!(await stillPairs(scene, alice, invitation))) return succeeded('the node does not pair any more')

  const daemon = await RealDaemon.start(scene, 'daemon')
  const line = new TextEncoder().encode(
    '{"version":"0.1.0","method":"send","params":{"device":"x","content":{"text":"y"}}}\n',
  )
  for (let round = 0; round < 100; round++)
    await throwAt(`${daemon.dataDir}/daemon.sock`, input.damaged([line]))
  const defect = /uncaught|unhandled|call-failed/.exec(daemon.log)
  if (defect !== null)
    return succeeded(`the daemon met a defect: ${daemon.log.slice(defect.index, defect.index + 300)}`)
  const { code } = await daemon.run(['status'])
  return code === 0
    ? withstood('345 pieces of noise; the node pairs, the daemon answers')
    : succeeded('the daemon is silent')
}

function throwAt(target: number | string, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = typeof target === 'number' ? connect(target, '127.0.0.1') : connect(target)
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.setTimeout(100, () => socket.destroy())
    socket.end(bytes)
    socket.resume()
  })
}
