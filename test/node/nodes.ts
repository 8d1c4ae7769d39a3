import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import type { Device, NodeEvents, NodeOptions, SpacedockNode } from '../../src/api.ts'
import { createNode } from '../../src/node.ts'
import { within } from '../network/real-hosts.ts'

/** Real nodes on the loopback interface, which find each other by address only; all gone when the test is over. */
export class TestNodes implements AsyncDisposable {
  readonly #nodes: SpacedockNode[] = []
  readonly #directories: string[] = []

  async make(name: string, options: Partial<NodeOptions> = {}): Promise<SpacedockNode> {
    const dataDir = options.dataDir ?? (await this.directory())
    const interfaces = [process.platform === 'darwin' ? 'lo0' : 'lo']
    const node = await createNode({ name, interfaces, mdns: false, ...options, dataDir })
    this.#nodes.push(node)
    return node
  }

  async directory(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'spacedock-node-'))
    this.#directories.push(directory)
    return directory
  }

  /** Two that are paired and connected, each with its handle of the other; the options are alice's. */
  async pair(options: Partial<NodeOptions> = {}): Promise<Pair> {
    const [alice, bob] = await Promise.all([this.make('alice', options), this.make('bob')])
    const connected = Promise.all([alice, bob].map((node) => nextEvent(node, 'device:connected')))
    const invitation = await alice.pair()
    const aliceAtBob = await bob.join(invitation.words, { peers: alice.status().listen })
    const bobAtAlice = await invitation.paired
    await connected
    return { alice, bob, aliceAtBob, bobAtAlice }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.close()))
    await Promise.all(this.#directories.map((directory) => rm(directory, { recursive: true, force: true })))
  }
}

/** For all tests of the suite in which it is called: `pair()` are two nodes that are paired and connected. */
export function pairOfSuite(): { nodes: TestNodes; pair: () => Pair } {
  const nodes = new TestNodes()
  let made: Pair | undefined
  before(async () => {
    made = await nodes.pair()
  })
  after(async () => {
    await nodes[Symbol.asyncDispose]()
  })
  return { nodes, pair: () => made ?? assert.fail('the two are not paired') }
}

export interface Pair {
  alice: SpacedockNode
  bob: SpacedockNode
  aliceAtBob: Device
  bobAtAlice: Device
}

/** The next event of this type; to be called before what causes it. */
export async function nextEvent<K extends keyof NodeEvents>(
  node: SpacedockNode,
  type: K,
): Promise<NodeEvents[K]> {
  const { promise, resolve } = Promise.withResolvers<NodeEvents[K]>()
  const listener = (event: CustomEvent<NodeEvents[K]>): void => resolve(event.detail)
  node.addEventListener(type, listener)
  try {
    return await within(promise, `${type} at ${node.name}`)
  } finally {
    node.removeEventListener(type, listener)
  }
}

export async function untilState(node: SpacedockNode, device: Device, state: string): Promise<void> {
  const giveUpAt = performance.now() + 10_000
  while (device.state !== state) {
    assert.ok(performance.now() < giveUpAt, `${device.name} is ${device.state} at ${node.name}, not ${state}`)
    await new Promise((resolve) => void setTimeout(resolve, 5))
  }
}
