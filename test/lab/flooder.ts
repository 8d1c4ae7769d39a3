import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Connection } from '@libp2p/interface'
import { deriveCandidate } from '../../src/pairing/joiner-handshake.ts'
import { deriveCodeKeys } from '../../src/pairing/key-schedule.ts'
import type { PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { parsePairingCode } from '../../src/pairing/pairing-code.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { RawPeer } from '../threats/raw-peer.ts'
import type { Host } from './lab.ts'
import type { RunningProcess } from './process.ts'
import { asPeer } from '../peers.ts'

export interface FloodCount {
  /** Requests that were sent completely. */
  sent: number
  /** Those that got any answer at all. */
  answered: number
  /** Requests that could not be sent. */
  failed: number
  lastFailure: string
  seconds: number
}

/** Somebody on the LAN whom nobody invited. */
export class Flood {
  readonly #process: RunningProcess

  private constructor(running: RunningProcess) {
    this.#process = running
  }

  /** Asks each of the targets, multiaddrs, up to `perSecond` times a second, until it is stopped. */
  static start(host: Host, targets: readonly string[], perSecond: number): Flood {
    const file = fileURLToPath(import.meta.url)
    return new Flood(host.spawn(['node', file, 'flood', String(perSecond), ...targets]))
  }

  /** Resolves when this many requests have been sent. */
  async reached(sent: number): Promise<void> {
    await this.#process.until(() => (this.#latest().sent >= sent ? true : undefined), 60_000)
  }

  async stop(): Promise<FloodCount> {
    this.#process.write('stop\n')
    await this.#process.line((line) => line === 'stopped')
    return this.#latest()
  }

  #latest(): FloodCount {
    const line = this.#process.lines().findLast((each) => each.startsWith('{'))
    return line === undefined
      ? { sent: 0, answered: 0, failed: 0, lastFailure: '', seconds: 0 }
      : (JSON.parse(line) as FloodCount)
  }
}

/** The same program with the right words: the type of the answer it gets, or `silence`. */
export async function askWithWords(host: Host, target: string, words: string): Promise<string> {
  const file = fileURLToPath(import.meta.url)
  const { stdout, stderr } = await host.run(['node', file, 'ask', target], { input: words })
  return stdout.trim() || stderr
}

/** Longest time a flood lasts when nobody stops it. */
const longestMs = 60_000
/** Requests on their way at once, per target: fewer than a connection may have. */
const maxUnderWay = 24
const tickMs = 10

async function flood(perSecond: number, targets: string[]): Promise<void> {
  const count: FloodCount = { sent: 0, answered: 0, failed: 0, lastFailure: '', seconds: 0 }
  const peer = await RawPeer.start()
  const startedAt = performance.now()
  const elapsed = (): number => performance.now() - startedAt
  const hungUp = new WeakSet<Connection>()
  const end = AbortSignal.any([AbortSignal.timeout(longestMs), commandToStop()])

  async function floodOne(target: string): Promise<void> {
    let connection = await peer.connect(target)
    const underWay = new Set<Promise<void>>()
    for (let begun = 0; !end.aborted; await wait(tickMs)) {
      // Who has ended a search hangs up on all who turned out not to be the one.
      // libp2p may call a connection open for a while when there is nothing left of it.
      if (connection.status !== 'open' || hungUp.has(connection)) connection = await peer.connect(target)
      const due = Math.min((perSecond * elapsed()) / 1000 - begun, maxUnderWay - underWay.size)
      for (let number = 0; number < due; number += 1) {
        begun += 1
        const asking = ask(target, bogusMessage(begun), connection)
        underWay.add(asking)
        void asking.finally(() => underWay.delete(asking))
      }
    }
    await Promise.all(underWay)
  }

  async function ask(target: string, message: PairingMessage, connection: Connection): Promise<void> {
    try {
      if ((await peer.ask(target, message, { connection })) !== null) count.answered += 1
      count.sent += 1
    } catch (error) {
      if (!hungUp.has(connection)) {
        count.failed += 1
        count.lastFailure = String(error)
      }
      hungUp.add(connection)
      connection.abort(new Error('the other side hung up'))
    }
  }

  const print = (): void => {
    console.log(JSON.stringify({ ...count, seconds: elapsed() / 1000 }))
  }
  const report = setInterval(print, 100)
  await Promise.all(targets.map(floodOne))
  clearInterval(report)
  print()
  console.log('stopped')
  await peer.stop()
  process.exit()
}

function commandToStop(): AbortSignal {
  const stop = new AbortController()
  createInterface({ input: process.stdin }).once('line', () => {
    stop.abort()
  })
  return stop.signal
}

/** Well-formed, with random bytes for everything that has to be proved. */
function bogusMessage(number: number): PairingMessage {
  switch (number % 4) {
    case 0:
      return { type: 'Cancel', mac: randomBytes(32) }
    case 1:
      return { type: 'Confirmed', acknowledgement: randomBytes(32) }
    default:
      return {
        type: 'PairingRequest',
        version: 1,
        suite: suite1.name,
        commitment: randomBytes(32),
        probe: randomBytes(16),
      }
  }
}

async function askOnce(target: string): Promise<void> {
  const words = (await process.stdin.toArray()).join('')
  const code = parsePairingCode(words)
  if (!code.ok) throw new Error(code.message)
  const peer = await RawPeer.start()
  const keys = deriveCodeKeys(suite1, code.entropy)
  const context = { suite: suite1, keys, localPeerId: peer.peerId, deviceName: 'mallory' }
  const initiator = target.split('/p2p/')[1] ?? ''
  const { request } = deriveCandidate(context, randomBytes(32), asPeer(initiator))
  const answer = await peer.ask(target, request)
  console.log(answer?.type ?? 'silence')
  await peer.stop()
  process.exit()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [what, first = '', ...rest] = process.argv.slice(2)
  await (what === 'flood' ? flood(Number(first), rest) : askOnce(first))
}
