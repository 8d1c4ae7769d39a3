import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { test } from 'node:test'
import type { SpacedockNode } from '../../src/api.ts'
import { TestNodes } from './nodes.ts'

test('pairing takes five round trips once the words are entered, that of TCP among them', async () => {
  await using nodes = new TestNodes()
  const alice = await nodes.make('alice')
  const counts: number[] = []
  // What the two say besides may come in between, and is counted then: the least count is what pairing takes.
  for (const name of ['bob', 'carol', 'dave']) {
    if (counts.some((count) => count <= 5)) break
    counts.push(await roundTripsOf(alice, await nodes.make(name)))
  }
  assert.ok(Math.min(...counts) <= 5, `${counts.join(', ')} round trips`)
})

/**
 * Pairs the two. One round trip is TCP's, one is for the names of what is spoken and Noise, one for the rest of Noise and the request,
 * one for the response, and one for the confirmation.
 */
async function roundTripsOf(shows: SpacedockNode, joins: SpacedockNode): Promise<number> {
  const [address = ''] = shows.status().listen
  const turns: number[] = []
  const between = await countTurns(Number(/tcp\/(\d+)/u.exec(address)?.[1]), turns)
  try {
    const { port } = between.address() as AddressInfo
    const invitation = await shows.pair()
    await joins.join(invitation.words, { peers: [address.replace(/tcp\/\d+/u, `tcp/${port}`)] })
    const [first = Number.NaN] = turns
    await invitation.paired
    return 1 + first
  } finally {
    between.close()
  }
}

/** Passes everything on to the port, and counts by connection how often the dialling side speaks after the other one has. */
async function countTurns(port: number, turns: number[]): Promise<Server> {
  const server = createServer({ noDelay: true }, (near) => {
    const number = turns.push(0) - 1
    const far = connect({ port, host: '127.0.0.1', noDelay: true })
    let isDialersTurn = true
    near.on('data', () => {
      if (isDialersTurn) turns[number] = (turns[number] ?? 0) + 1
      isDialersTurn = false
    })
    far.on('data', () => (isDialersTurn = true))
    for (const socket of [near, far])
      socket.on('error', () => near.destroy()).on('close', () => near.destroy())
    near.pipe(far).pipe(near)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
