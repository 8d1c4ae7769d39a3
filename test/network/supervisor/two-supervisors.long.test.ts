import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { SpacedockError } from '../../../src/errors.ts'
import type { Session, SessionEnd } from '../../../src/network/session/session.ts'
import { ConnectionSupervisor } from '../../../src/network/supervisor/connection-supervisor.ts'
import { randomNumbers } from '../../../src/testing/random-numbers.ts'
import { virtualClock, type VirtualClock } from '../../../src/testing/virtual-clock.ts'
import { larger, smaller } from './supervised-world.ts'
import type { PeerId } from '../../../src/pairing/peer-id.ts'
import { peerIdOf } from '../../../src/libp2p-peer.ts'

/** 400 worlds, each with other delays; a failing one is named by its seed. */
const seeds = 400

test('both sides dial at once, whatever the delays: one session and one connection, the same on both sides', async () => {
  let crossed = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const world = twoSides(seed)
    world.left.supervisor.start()
    world.right.supervisor.start()
    await world.clock.pass(15_000)
    if (world.left.dials > 0 && world.right.dials > 0) crossed++
    assertOne(world, seed)
    assert.equal(world.left.losses + world.right.losses, 0, `seed ${seed}: reported as gone`)
    await world.stop()
  }
  assert.ok(crossed > seeds / 2, `only ${crossed} times both dialled`)
})

test('the connection breaks and both sides see each other, again and again: one session in the end', async () => {
  for (let seed = 1; seed <= seeds / 4; seed++) {
    const world = twoSides(seed)
    const { left, right } = world
    left.supervisor.start()
    right.supervisor.start()
    for (let round = 0; round < 6; round++) {
      await world.clock.pass(world.random() * 3_000)
      if (world.random() < 0.5)
        for (const { ends } of world.links) for (const end of ends) end.abort(new Error('cut'))
      if (world.random() < 0.5) left.supervisor.sighting(larger)
      if (world.random() < 0.5) right.supervisor.sighting(smaller)
      if (world.random() < 0.3) left.supervisor.networkChanged()
      if (world.random() < 0.3) right.supervisor.networkChanged()
    }
    await world.clock.pass(90_000)
    assertOne(world, seed)
    await world.stop()
  }
})

function assertOne({ left, right, links }: World, seed: number): void {
  const here = left.supervisor.sessionOf(larger)
  const there = right.supervisor.sessionOf(smaller)
  assert.ok(here !== undefined && there !== undefined, `seed ${seed}: no session`)
  const open = links.filter(({ ends }) => ends.every(({ status }) => status === 'open'))
  assert.equal(open.length, 1, `seed ${seed}: ${open.length} connections`)
  assert.deepEqual([here.connection, there.connection], open[0]?.ends, `seed ${seed}`)
  assert.notEqual(here.opener, there.opener, `seed ${seed}`)
  assert.equal(open[0]?.ends[0].streams.length, 1, `seed ${seed}: more than one session`)
}

interface Side {
  supervisor: ConnectionSupervisor
  dials: number
  /** How often its device was reported as gone. */
  losses: number
}

interface Link {
  /** The left one's end first. */
  ends: [Connection, Connection]
}

interface World {
  clock: VirtualClock
  random: () => number
  left: Side
  right: Side
  links: Link[]
  stop(): Promise<void>
}

/** Two supervisors between which everything takes its time, and which see nothing of each other but through it. */
function twoSides(seed: number): World {
  const clock = virtualClock()
  const random = randomNumbers(seed)
  const links: Link[] = []
  const soon = async (): Promise<void> =>
    new Promise((resolve) => clock.after(1 + random() * 60, () => resolve()))

  /** Both ends of something, of which one hears of the other's end a moment later. */
  function link(): Link {
    const ends = [larger, smaller].map((remotePeer) => ({
      remotePeer,
      status: 'open',
      remoteAddr: multiaddr('/ip4/127.0.0.1/tcp/1'),
      streams: [] as Session[],
      abort: (error: Error) => close(error),
      close: async () => close(new Error('closed')),
    })) as unknown as [Connection, Connection]
    function close(error: Error): void {
      for (const end of ends) {
        if (end.status !== 'open') continue
        end.status = 'closed'
        for (const session of [...end.streams] as unknown as Session[]) session.abort(error)
      }
    }
    links.push({ ends })
    return { ends }
  }

  /** A session's two ends over a connection, the opener's first. */
  function sessions(opener: Connection, other: Connection): [FakeSession, FakeSession] {
    const made: [FakeSession, FakeSession] = [fake(opener, 'local'), fake(other, 'remote')]
    const [one, two] = made
    one.other = two
    two.other = one
    return made
  }

  interface FakeSession extends Session {
    other?: FakeSession
    isOver: boolean
    isLeaving: boolean
    hearGoodbye(): void
    /** Of the opener, at the other end. */
    proofIsThere: PromiseWithResolvers<void>
    end(end: SessionEnd): void
  }

  function fake(connection: Connection, opener: 'local' | 'remote'): FakeSession {
    const ended = Promise.withResolvers<SessionEnd>()
    const streams = connection.streams as unknown as Session[]
    const forsaken = new AbortController()
    let onChange: (() => void) | undefined
    const session: FakeSession = {
      remotePeer: peerIdOf(connection.remotePeer),
      connection,
      opener,
      budget: null,
      remoteInstance: 'a'.repeat(32),
      greetedAtMs: 0,
      closed: ended.promise,
      isOver: false,
      isLeaving: false,
      isDoubtful: false,
      forsaken: forsaken.signal,
      forsake: () => forsaken.abort(),
      watch: (listener) => void (onChange = listener),
      check: () => {},
      hearGoodbye() {
        session.isLeaving = true
        onChange?.()
      },
      proofIsThere: Promise.withResolvers<void>(),
      request: async () => assert.fail('nobody asks'),
      openStream: () => Promise.reject(new Error('not in this world')),
      emit: () => Promise.reject(new Error('not in this world')),
      async ping() {
        await session.proofIsThere.promise
        await soon()
        await soon()
        if (session.isOver) throw new SpacedockError('interrupted', 'over')
        return 1
      },
      async drain() {
        session.hearGoodbye()
        await session.proofIsThere.promise
        await soon()
        if (session.other?.isOver === false) session.other.hearGoodbye()
        await session.close()
      },
      async close() {
        await session.proofIsThere.promise
        await soon()
        session.other?.end({ reason: 'remote-closed' })
        session.end({ reason: 'closed' })
      },
      revoke: async () => assert.fail('nobody is revoked'),
      abort(cause) {
        session.end({ reason: 'aborted', cause })
        void soon().then(() => session.other?.end({ reason: 'interrupted', cause }))
      },
      end(end) {
        if (session.isOver) return
        session.isOver = true
        streams.splice(streams.indexOf(session), 1)
        ended.resolve(end)
      },
    }
    streams.push(session)
    return session
  }

  /** The other end's session begins with the opener's proof; whatever is said comes after it. */
  async function arrive(far: FakeSession, opened: FakeSession): Promise<void> {
    await soon()
    const { supervisor } = peerIdOf(far.connection.remotePeer) === larger ? left : right
    if (!far.isOver) void supervisor.admit(far)
    opened.proofIsThere.resolve()
  }

  function side(own: PeerId, remote: PeerId): Side {
    const ownEnd = own === smaller ? 0 : 1
    const dial = async (): Promise<Connection> => {
      made.dials++
      await soon()
      return link().ends[ownEnd]
    }
    const made: Side = {
      dials: 0,
      losses: 0,
      supervisor: new ConnectionSupervisor({
        host: {
          peerId: own,
          simultaneousOpen: null,
          toldAddresses: async () => [],
          dialTls: async () => null,
          connectionsTo: () =>
            links.map(({ ends }) => ends[ownEnd]).filter(({ status }) => status === 'open'),
          connect: dial,
          dial,
        },
        trusted: { wanted: () => [remote], isWanted: () => true, pairKeys: () => [] },
        book: { addressesOf: () => ['/ip4/127.0.0.1/tcp/1'] },
        opener: {
          async open(connection) {
            await soon()
            const found = links.find(({ ends }) => ends[ownEnd] === connection)
            if (found === undefined || connection.status !== 'open') throw new Error('the connection is gone')
            const [local, far] = sessions(
              connection as Connection,
              (found.ends[1 - ownEnd] ?? connection) as Connection,
            )
            void arrive(far, local)
            far.proofIsThere.resolve()
            return local
          },
        },
        random,
        clock,
        log: () => {},
      }),
    }
    made.supervisor.listen({
      sessionEnded: () => made.losses++,
      unknownDevice: () => assert.fail('they know each other'),
    })
    return made
  }

  const left: Side = side(smaller, larger)
  const right: Side = side(larger, smaller)
  const stop = async (): Promise<void> => {
    const stopping = Promise.all([left.supervisor.stop(), right.supervisor.stop()])
    await clock.pass(3_000)
    await stopping
  }
  return { clock, random, left, right, links, stop }
}
