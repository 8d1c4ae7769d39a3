import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { givenAddresses } from '../../src/network/discovery/given-addresses.ts'
import type { CandidateSource } from '../../src/network/discovery/candidate-sources.ts'
import { createHost } from '../../src/network/host/create-host.ts'
import type { Host } from '../../src/network/host/host.ts'
import { TrustedPeers } from '../../src/node/trusted-peers.ts'
import { deriveCodeKeys } from '../../src/pairing/key-schedule.ts'
import { parsePairingCode } from '../../src/pairing/pairing-code.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import type { InvitationRunner } from '../../src/protocols/invitation-runner.ts'
import type { PairingObserver, PairingRun } from '../../src/protocols/pairing-components.ts'
import { pairingProtocol } from '../../src/protocols/pairing-exchanges.ts'
import { PairingService } from '../../src/protocols/pairing-service.ts'
import { openMemoryStore, type Store } from '../../src/store/store.ts'
import { until, within } from '../network/real-hosts.ts'
import { virtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import { asPeer } from '../peers.ts'

const log = (): void => undefined
const observer: PairingObserver = {
  progress: () => undefined,
  obstacle: () => null,
  otherVersion: () => null,
}

/** Pairing services over real hosts on the loopback interface; the time is the test's. */

interface Side extends AsyncDisposable {
  host: Host
  store: Store
  service: PairingService
  time: VirtualClock
  /** Peers of pairings that are left to the next session. */
  unfinished: string[]
  /** What it is asked is reset, as if it did not get through. */
  isDeaf: boolean
  /** As a new process: what the service knew is gone, what was written down is not. */
  restart: () => void
}

async function makeSide(): Promise<Side> {
  const time = virtualClock()
  const store = openMemoryStore({ clock: time })
  store.settings.update({ name: 'a device' })
  const interfaces = [process.platform === 'darwin' ? 'lo0' : 'lo']
  const host = await createHost({ seed: store.identity.seed, port: 0, interfaces, agent: 'test' })
  const unfinished: string[] = []
  const trust = new TrustedPeers(store, time, log)
  const makeService = (): PairingService =>
    new PairingService({
      host,
      suite: suite1,
      clock: time,
      random: (length) => randomBytes(length),
      log,
      trust,
      settings: store.settings,
      registry: store.registry,
      connections: {
        addressesOf: () => [],
        release: () => undefined,
        connectNow: (peer) => unfinished.push(peer),
      },
    })
  const side: Side = {
    host,
    store,
    time,
    unfinished,
    service: makeService(),
    isDeaf: false,
    restart: () => {
      side.service = makeService()
      for (const peer of host.libp2p.getPeers()) host.disconnect(asPeer(peer.toString()))
    },
    [Symbol.asyncDispose]: async () => {
      await side.service.close()
      trust.close()
      await host.stop()
    },
  }
  await host.libp2p.handle(pairingProtocol, async (stream, connection) => {
    if (side.isDeaf) stream.abort(new Error('deaf'))
    else await side.service.handle(stream, connection)
  })
  return side
}

function invite({ service }: Side, run: Omit<PairingRun, 'observer'> = {}): Invited {
  const code = service.newCode()
  return { words: code.words, runner: service.invite(code, { ...run, observer }) }
}

interface Invited {
  words: string
  runner: InvitationRunner
}

async function join(
  joiner: Side,
  initiator: Side,
  words: string,
  confirm: () => Promise<boolean> = async () => true,
): Promise<string> {
  const code = parsePairingCode(words)
  assert.ok(code.ok)
  const sources = [givenAddresses(initiator.host.addresses().map(String))]
  const options = { sources, timeoutMs: 300_000, confirm, observer }
  return joiner.service.join(deriveCodeKeys(suite1, code.entropy), options)
}

test('an address that is news reaches a peer that is being dialled in vain', async () => {
  await using initiator = await makeSide()
  await using joiner = await makeSide()
  const deadEnd = createServer()
  deadEnd.listen(0, '127.0.0.1')
  const dialled = once(deadEnd, 'connection') as Promise<[Socket]>
  await once(deadEnd, 'listening')
  const address = deadEnd.address()
  assert.ok(address !== null && typeof address === 'object')
  const { words, runner } = invite(initiator)
  const code = parsePairingCode(words)
  assert.ok(code.ok)
  const peer = initiator.host.peerId
  const source: CandidateSource = {
    name: 'internet',
    async find({ onCandidate }) {
      onCandidate({ peer, addresses: [`/ip4/127.0.0.1/tcp/${address.port}`], urgent: true })
      await dialled
      onCandidate({ peer, addresses: initiator.host.addresses().map(String), urgent: true })
    },
  }
  const options = { sources: [source], timeoutMs: 300_000, confirm: async () => true, observer }
  try {
    // The joiner's time stands still: nothing is given up, and nothing tried again.
    const joined = await within(
      joiner.service.join(deriveCodeKeys(suite1, code.entropy), options),
      'the pairing',
    )
    assert.equal(joined, peer)
    assert.equal(await within(runner.paired, 'the other side'), joiner.host.peerId)
  } finally {
    for (const socket of await dialled) socket.destroy()
    deadEnd.close()
  }
})

test('when the last word does not get through in time, both sides leave the rest to the next session', async () => {
  await using initiator = await makeSide()
  await using joiner = await makeSide()
  const { words, runner } = invite(initiator)
  const joining = join(joiner, initiator, words, async () => {
    initiator.isDeaf = true
    return true
  })
  const failed = Promise.all([
    assert.rejects(joining, { code: 'interrupted' }),
    assert.rejects(runner.paired, { code: 'interrupted' }),
  ])
  await until(
    () => joiner.store.trust.provisional(initiator.host.peerId) !== undefined,
    'the yes of the joiner',
  )
  assert.deepEqual([joiner.unfinished, initiator.unfinished], [[], []])
  await joiner.time.pass(60_000)
  assert.deepEqual(joiner.unfinished, [initiator.host.peerId])
  await initiator.time.pass(120_000)
  assert.deepEqual(initiator.unfinished, [joiner.host.peerId])
  await within(failed, 'the two errors')

  // The session that follows stands in for the last word.
  const acknowledgement = initiator.store.trust.provisional(joiner.host.peerId)?.acknowledgement
  assert.ok(acknowledgement)
  initiator.service.confirmedBySession(joiner.host.peerId, acknowledgement)
  assert.equal(initiator.store.trust.get(joiner.host.peerId)?.state, 'active')
})

test('a session that proves the key ends the wait of the one who shows the code', async () => {
  await using initiator = await makeSide()
  await using joiner = await makeSide()
  const { words, runner } = invite(initiator)
  const joining = join(joiner, initiator, words, async () => {
    initiator.isDeaf = true
    return true
  })
  joining.catch(() => undefined)
  const peer = joiner.host.peerId
  await until(
    () => joiner.store.trust.provisional(initiator.host.peerId) !== undefined,
    'the yes of the joiner',
  )
  initiator.service.confirmedBySession(peer, new Uint8Array(32))
  assert.equal(initiator.store.trust.get(peer), undefined, 'the key of some other pairing')
  const acknowledgement = initiator.store.trust.provisional(peer)?.acknowledgement
  assert.ok(acknowledgement)
  initiator.service.confirmedBySession(peer, acknowledgement)
  assert.equal(await within(runner.paired, 'the end'), peer)
})

test('a last word that comes after a restart of the initiator is answered', async () => {
  await using initiator = await makeSide()
  await using joiner = await makeSide()
  const { words } = invite(initiator)
  const joining = join(joiner, initiator, words, async () => {
    initiator.restart()
    return true
  })
  using _passing = letTimePass(joiner.time)
  assert.equal(await within(joining, 'the end of the join'), initiator.host.peerId)
  assert.equal(initiator.store.trust.get(joiner.host.peerId)?.state, 'active')
  assert.equal(joiner.store.trust.get(initiator.host.peerId)?.state, 'active')
})

test('a join whose initiator was restarted does not burn the next code, which the same device uses', async () => {
  await using initiator = await makeSide()
  await using joiner = await makeSide()
  const asked = Promise.withResolvers<void>()
  const first = invite(initiator, {
    confirm: () => {
      asked.resolve()
      return new Promise(() => undefined)
    },
  })
  const stale = join(joiner, initiator, first.words)
  stale.catch(() => undefined)
  await within(asked.promise, 'the question')
  initiator.restart()
  // The stale join says its Response again and again.
  using _passing = letTimePass(joiner.time)
  const second = invite(initiator)
  const joining = join(joiner, initiator, second.words)
  assert.equal(await within(joining, 'the end of the join'), initiator.host.peerId)
  assert.equal(await within(second.runner.paired, 'the end of the pairing'), joiner.host.peerId)
})

/** So fast that what is repeated every 300 ms is repeated as soon as there is no answer. */
function letTimePass(time: VirtualClock): Disposable {
  const passing = setInterval(() => void time.pass(300), 1)
  return { [Symbol.dispose]: () => clearInterval(passing) }
}
