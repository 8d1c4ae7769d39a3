import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import type { CommandResult } from '../command-output.ts'
import { pairDevices } from '../device.ts'
import { CuttingProxy } from './cutting-proxy.ts'
import type { Lan } from './lab.ts'
import { connectedBothWays } from './meeting.ts'
import type { Actor, Stage } from './scene.ts'

/** Alice shows a code, Bob joins. */
export interface Pair {
  lan: Lan
  alice: Actor
  bob: Actor
  proxy: CuttingProxy
  /** Alice's address at the proxy. */
  peerAddress: string
}

/** In their order. */
export const exchanges = [
  'request',
  'challenge',
  'response',
  'complete',
  'confirmed',
  'acknowledged',
] as const

/** What could not arrive when the pairing was broken. `nothing`: it was over on both sides. */
export type UnderWay = (typeof exchanges)[number] | 'nothing'

export interface Outcome {
  cutAt: number
  underWay: UnderWay
  result: 'paired' | 'neither'
}

/** Called when the proxy holds everything back, from the `cutAt`th message on. */
export type BreakIt = (pair: Pair, cutAt: number) => Promise<void>

/** Two devices that can reach each other through the proxy only, and know of each other only what `--peer` tells. */
export async function makePair({ device, lab }: Stage, lan: Lan, number: number): Promise<Pair> {
  const alice = await device(`alice${number}`, [lan])
  const bob = await device(`bob${number}`, [lan])
  const middle = await lab.host(`proxy${number}`, [lan])
  for (const { host } of [alice, bob]) await host.firewall({ dropMulticast: true })
  await Promise.all([alice.device.up(), bob.device.up()])
  const { peerId = '', listen = [] } = await alice.device.status()
  const address = alice.host.address(lan)
  const port = Number(/\/tcp\/(\d+)\//u.exec(listen.find((each) => each.includes(address)) ?? '')?.[1])
  const proxy = await CuttingProxy.start(middle, { address, port })
  return {
    lan,
    alice,
    bob,
    proxy,
    peerAddress: `/ip4/${middle.address(lan)}/tcp/${proxy.port}/p2p/${peerId}`,
  }
}

/** How many messages of libp2p a pairing is that nobody disturbs. */
export async function messagesOfPairing(pair: Pair): Promise<number> {
  await pair.proxy.arm(Infinity)
  await pairDevices(pair.alice.device, pair.bob.device, { joinArgs: ['--peer', pair.peerAddress] })
  const total = await pair.proxy.count()
  await connectedBothWays(pair.alice.device, pair.bob.device)
  await unpair(pair)
  return total
}

/** One pairing, broken at a message. Fails when one side ends up paired and the other not. */
export async function breakPairing(pair: Pair, cutAt: number, breakIt: BreakIt): Promise<Outcome> {
  const { alice, bob, proxy, peerAddress } = pair
  await proxy.arm(cutAt)
  const pairing = alice.device.spawnCli(['pair', '--yes'])
  const { words, sessionId } = await pairing.waitForEvent('code')
  const joining = bob.device.spawnCli(['join', '-', '--yes', '--peer', peerAddress])
  joining.end(`${String(words)}\n`)
  const sender = await proxy.held()
  const underWay = await settledExchange(pair, String(sessionId), sender)
  await breakIt(pair, cutAt)
  const ends = await Promise.all([pairing.finished(240_000), joining.finished(240_000)])
  const result = await agreedResult(pair, ends)
  if (result === 'paired') await unpair(pair)
  return { cutAt, underWay, result }
}

/** Both paired and connected, or neither paired; and what the commands said fits. */
async function agreedResult({ alice, bob }: Pair, ends: CommandResult[]): Promise<Outcome['result']> {
  const told = ends.map(({ code, stderr }) => `exit code ${code}: ${stderr.trim().split('\n').at(-1)}`)
  if (ends.some(({ code }) => code === 0)) {
    // A side that could not wait for the last word says that it will be finished: then it has to be.
    for (const { code, stderr } of ends) {
      if (code !== 0) assert.match(stderr, /"code":"interrupted".*finishes by itself/u, told.join('\n'))
    }
    await connectedBothWays(alice.device, bob.device)
    return 'paired'
  }
  for (const { stderr } of ends) assert.match(stderr, /"event":"error","code":"\w+".*"hint":"/u)
  for (const { device } of [alice, bob]) {
    const states = (await device.devices()).map(({ state }) => state)
    assert.ok(
      states.every((state) => state === 'revoked'),
      `${told.join('\n')}\nbut for ${device.name}: ${states.join(', ')}`,
    )
  }
  return 'neither'
}

async function unpair({ alice, bob }: Pair): Promise<void> {
  const results = await Promise.all([
    alice.device.cli(['revoke', bob.device.name, '--yes']),
    bob.device.cli(['revoke', alice.device.name, '--yes']),
  ])
  for (const { code, stderr } of results) assert.equal(code, 0, stderr)
}

/** Which message cannot arrive, going by the states of both sides, once these have come to rest. */
async function settledExchange(pair: Pair, sessionId: string, sender: string): Promise<UnderWay> {
  let before = ''
  for (;;) {
    const initiator = lastPhase(pair.alice.device.log, sessionId)
    const joiner = lastPhase(pair.bob.device.log, sessionId)
    const now = `${initiator} ${joiner}`
    if (now === before) return exchangeAt(initiator, joiner, sender)
    before = now
    await wait(200)
  }
}

function exchangeAt(initiator: string, joiner: string, sender: string): UnderWay {
  if (joiner === '') return sender === 'dialer' ? 'request' : 'challenge'
  if (joiner === 'responding') return initiator === '' ? 'response' : 'complete'
  if (joiner === 'confirming') return initiator === 'completed' ? 'confirmed' : 'acknowledged'
  return 'nothing'
}

/** Empty before the first change of phase. */
function lastPhase(log: string, sessionId: string): string {
  const line = log
    .split('\n')
    .findLast((each) => each.includes('"pairing.phase"') && each.includes(sessionId))
  return line === undefined ? '' : (JSON.parse(line) as { to: string }).to
}
