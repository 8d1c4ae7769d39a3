import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { describe, test } from 'node:test'
import type { Device, SpacedockNode } from '../../src/api.ts'
import { nextEvent, TestNodes, untilState } from './nodes.ts'

/** Two nodes that are paired and can be closed and started again, each with its own directory. */
class Couple implements AsyncDisposable {
  readonly nodes = new TestNodes()
  readonly directories = new Map<string, string>()
  readonly #running = new Map<string, SpacedockNode>()

  static async paired(): Promise<Couple> {
    const couple = new Couple()
    await Promise.all([couple.start('alice'), couple.start('bob')])
    await couple.pair('alice', 'bob')
    await couple.untilConnected()
    return couple
  }

  node(name: string): SpacedockNode {
    const node = this.#running.get(name)
    assert.ok(node !== undefined, `${name} is not running`)
    return node
  }

  async start(name: string): Promise<SpacedockNode> {
    const dataDir = this.directories.get(name) ?? (await this.nodes.directory())
    this.directories.set(name, dataDir)
    const node = await this.nodes.make(name, { dataDir })
    this.#running.set(name, node)
    return node
  }

  async stop(name: string): Promise<void> {
    await this.node(name).close()
    this.#running.delete(name)
  }

  async pair(initiator: string, joiner: string): Promise<void> {
    const invitation = await this.node(initiator).pair()
    await this.node(joiner).join(invitation.words, { peers: this.node(initiator).status().listen })
    await invitation.paired
  }

  /** The other one, as this one sees it. */
  otherAt(name: string): Device {
    return this.node(name).device(name === 'alice' ? 'bob' : 'alice')
  }

  async untilConnected(): Promise<void> {
    for (const name of ['alice', 'bob']) await untilState(this.node(name), this.otherAt(name), 'connected')
  }

  /** Both send, and both have it. */
  async assertHealed(): Promise<void> {
    await this.untilConnected()
    for (const name of ['alice', 'bob']) {
      assert.equal(this.otherAt(name).needsPairing, null)
      assert.equal((await this.otherAt(name).send(`from ${name}`)).status, 'delivered')
    }
    assert.equal(this.node('alice').devices().length, 1)
  }

  textsAt(name: string): (string | undefined)[] {
    return this.node(name)
      .inbox()
      .map(({ text }) => text)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nodes[Symbol.asyncDispose]()
  }
}

describe('a device that is revoked', () => {
  test('knows it when revoke returns, if it is there, and keeps what it wanted to send', async () => {
    await using couple = await Couple.paired()
    await couple.otherAt('alice').revoke()
    const { state, needsPairing } = couple.otherAt('bob')
    assert.deepEqual({ state, needsPairing }, { state: 'needs-pairing', needsPairing: 'revoked' })
    assert.equal(couple.otherAt('alice').state, 'revoked')
    await assert.rejects(couple.otherAt('bob').send('hello'), { code: 'not-paired', message: /has ended/u })
  })

  test('is told when it comes back, remembers it, and does not ask again', async () => {
    await using couple = await Couple.paired()
    await couple.stop('bob')
    await couple.otherAt('alice').revoke()
    const bob = await couple.start('bob')
    await untilState(bob, couple.otherAt('bob'), 'needs-pairing')
    assert.equal(couple.otherAt('bob').needsPairing, 'revoked')
    await couple.stop('bob')
    await couple.start('bob')
    const { state, needsPairing, address } = couple.otherAt('bob')
    assert.deepEqual({ state, needsPairing }, { state: 'needs-pairing', needsPairing: 'revoked' })
    assert.notEqual(address, null, 'where it was is not forgotten')
  })

  test('is not taken back by a device whose whole directory was put back, once it knows', async () => {
    await using couple = await Couple.paired()
    await couple.stop('alice')
    const backup = await couple.nodes.directory()
    const directory = couple.directories.get('alice') ?? ''
    await cp(directory, backup, { recursive: true })
    await couple.start('alice')
    await couple.untilConnected()
    await couple.otherAt('alice').revoke()
    await couple.stop('alice')
    await cp(backup, directory, { recursive: true, force: true })
    const disowned = nextEvent(await couple.start('alice'), 'device:needs-pairing')
    assert.equal((await disowned).needsPairing, 'unknown')
    assert.equal(couple.otherAt('bob').needsPairing, 'revoked')
  })
})

test('a device that is off is disconnected and nothing else', async () => {
  await using couple = await Couple.paired()
  await couple.stop('alice')
  await untilState(couple.node('bob'), couple.otherAt('bob'), 'disconnected')
  assert.equal(couple.otherAt('bob').needsPairing, null)
  assert.equal((await couple.otherAt('bob').send('later')).status, 'queued')
})

describe('pairing again after a revocation heals both sides', () => {
  for (const initiator of ['alice', 'bob']) {
    for (const toldWhile of ['connected', 'away']) {
      test(`${initiator === 'alice' ? 'the one that revoked' : 'the one that was revoked'} shows the code, told while ${toldWhile}`, async () => {
        await using couple = await Couple.paired()
        if (toldWhile === 'away') await couple.stop('alice')
        if (toldWhile === 'away') {
          await untilState(couple.node('bob'), couple.otherAt('bob'), 'disconnected')
          assert.equal((await couple.otherAt('bob').send('before')).status, 'queued')
          await couple.stop('bob')
          await couple.start('alice')
        }
        await couple.otherAt('alice').revoke()
        if (toldWhile === 'away') {
          await untilState(await couple.start('bob'), couple.otherAt('bob'), 'needs-pairing')
        }
        assert.equal(couple.otherAt('bob').needsPairing, 'revoked')
        await couple.pair(initiator, initiator === 'alice' ? 'bob' : 'alice')
        await couple.assertHealed()
        const expected = toldWhile === 'away' ? ['before', 'from bob'] : ['from bob']
        assert.deepEqual(couple.textsAt('alice'), expected, 'what waited goes out, in order')
      })
    }
  }

  test('also when both have revoked each other', async () => {
    await using couple = await Couple.paired()
    await Promise.all(['alice', 'bob'].map((name) => couple.otherAt(name).revoke()))
    assert.deepEqual(
      ['alice', 'bob'].map((name) => couple.otherAt(name).state),
      ['revoked', 'revoked'],
    )
    await couple.pair('bob', 'alice')
    await couple.assertHealed()
  })
})

describe('pairing again after one side lost its data heals both sides', () => {
  for (const initiator of ['alice', 'bob']) {
    test(`${initiator === 'bob' ? 'the one that lost it' : 'the other one'} shows the code`, async () => {
      await using couple = new Couple()
      await couple.start('bob')
      await couple.stop('bob')
      const backup = await couple.nodes.directory()
      const directory = couple.directories.get('bob') ?? ''
      await cp(directory, backup, { recursive: true })
      await Promise.all([couple.start('alice'), couple.start('bob')])
      await couple.pair('alice', 'bob')
      await couple.untilConnected()
      await couple.stop('bob')
      await untilState(couple.node('alice'), couple.otherAt('alice'), 'disconnected')
      await couple.otherAt('alice').send('while away')
      await cp(backup, directory, { recursive: true, force: true })

      await couple.start('bob')
      await untilState(couple.node('alice'), couple.otherAt('alice'), 'needs-pairing')
      assert.equal(couple.otherAt('alice').needsPairing, 'unknown')
      await couple.pair(initiator, initiator === 'alice' ? 'bob' : 'alice')
      await couple.assertHealed()
      assert.deepEqual(couple.textsAt('bob'), ['while away', 'from alice'])
    })
  }
})
