import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type {
  Device,
  Invitation,
  JoinOptions,
  NodeOptions,
  PairOptions,
  SpacedockNode,
} from '../../src/index.ts'
import { SpacedockError } from '../../src/errors.ts'
import type { RawPeer, RawPeerOptions } from './raw-peer.ts'

/** What an attack has to play with; all of it is gone when the attack is over. */
export class Scene {
  readonly #cleanups: (() => void | Promise<void>)[] = []

  /** Runs when the attack is over, last registered first. */
  after(cleanup: () => void | Promise<void>): void {
    this.#cleanups.push(cleanup)
  }

  directory(): string {
    const directory = mkdtempSync(join(tmpdir(), 'spacedock-threat-'))
    chmodSync(directory, 0o700)
    this.after(() => rmSync(directory, { recursive: true, force: true }))
    return directory
  }

  /** A real node on the loopback interface. */
  async node(name: string, options: Partial<NodeOptions> = {}): Promise<SpacedockNode> {
    // Loaded when it is needed: the attacks on the pure machines do without.
    const { createNode } = await import('../../src/index.ts')
    const dataDir = options.dataDir ?? this.directory()
    const node = await createNode({ interfaces: ['lo'], mdns: false, name, ...options, dataDir })
    this.after(() => node.close())
    return node
  }

  /** A libp2p host that is not ours, to attack from. */
  async rawPeer(options: RawPeerOptions = {}): Promise<RawPeer> {
    const { RawPeer } = await import('./raw-peer.ts')
    const peer = await RawPeer.start(options)
    this.after(() => peer.stop())
    return peer
  }

  async close(): Promise<void> {
    for (const cleanup of this.#cleanups.toReversed()) {
      try {
        await cleanup()
      } catch (error) {
        process.stderr.write(`${String(error)}\n`)
      }
    }
  }
}

/** As much of a node, in whatever process, as it takes to reach it. */
export interface Reachable {
  readonly peerId: string
  status(): { listen: string[] }
}

/** Where a node of a scene is reached. */
export function addressOf(node: Reachable): string {
  const address = node.status().listen.find((each) => each.startsWith('/ip4/127.'))
  if (address === undefined) throw new Error('the node does not listen on the loopback interface')
  return address
}

/** Joins by address; a failure is its code. */
export async function tryJoin(
  joiner: SpacedockNode,
  words: string,
  peers: string[],
  options: JoinOptions = {},
): Promise<Device | string> {
  return joiner.join(words, { peers, timeoutMs: 10_000, ...options }).catch(codeOf)
}

/** `paired`, or the code of the failure. */
export function outcomeOf(joined: Device | string): string {
  return typeof joined === 'string' ? joined : 'paired'
}

/** Whether the code of the invitation still pairs an honest device. */
export async function stillPairs(
  scene: Scene,
  node: SpacedockNode,
  invitation: Invitation,
): Promise<boolean> {
  const honest = await scene.node('honest')
  const joined = await tryJoin(honest, invitation.words, [addressOf(node)])
  if (typeof joined === 'string') return false
  const device = await within(invitation.paired, 'the invitation')
  return device.peerId === honest.peerId
}

export async function pairNodes(
  initiator: SpacedockNode,
  joiner: SpacedockNode,
  options: PairOptions = {},
): Promise<void> {
  const invitation = await initiator.pair(options)
  await joiner.join(invitation.words, { peers: [addressOf(initiator)], timeoutMs: 10_000 })
  await invitation.paired
}

export function codeOf(error: unknown): string {
  if (error instanceof SpacedockError) return error.code
  throw error
}

/** How the invitation ended, when it has: `paired` or the code of its error. */
export async function endOf(invitation: Invitation, patienceMs = 0): Promise<string> {
  const ended = invitation.paired.then(() => 'paired', codeOf)
  return Promise.race([ended, pause(patienceMs).then(() => 'open')])
}

export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}

export async function within<Value>(
  promise: Promise<Value>,
  what: string,
  timeoutMs = 10_000,
): Promise<Value> {
  const late = pause(timeoutMs).then(() => {
    throw new Error(`${what}: nothing within ${timeoutMs} ms`)
  })
  late.catch(() => {})
  return Promise.race([promise, late])
}

export async function until(condition: () => boolean, what: string, timeoutMs = 10_000): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > giveUpAt) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await pause(5)
  }
}
