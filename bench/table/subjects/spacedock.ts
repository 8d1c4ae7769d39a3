import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Device, NodeOptions, SpacedockNode } from '../../../src/index.ts'
import { loopback } from './subject.ts'

/**
 * The built library, of the checkout that is measured: another one than this file's when two commits are compared. The types are
 * this one's.
 */
export async function library(): Promise<typeof import('../../../src/index.ts')> {
  const root = process.env['BENCH_CHECKOUT']
  if (root === undefined) throw new Error('BENCH_CHECKOUT says which checkout is measured')
  return (await import(
    pathToFileURL(join(root, 'dist/index.js')).href
  )) as typeof import('../../../src/index.ts')
}

/** Starts a node whose directory goes with the process. */
export async function startNode(name: string, options: Partial<NodeOptions> = {}): Promise<SpacedockNode> {
  const dataDir = options.dataDir ?? newDataDir()
  const { createNode } = await library()
  return createNode({ name, interfaces: [loopback], mdns: false, ...options, dataDir })
}

const dataDirs: string[] = []

/** Directory that goes with the process. */
export function newDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'spacedock-bench-'))
  if (dataDirs.length === 0) {
    process.once('exit', () => {
      for (const each of dataDirs) rmSync(each, { recursive: true, force: true })
    })
  }
  dataDirs.push(dataDir)
  return dataDir
}

/** Shows a code; an address of the benchmark is the code and where it is shown. */
export async function invite(node: SpacedockNode): Promise<{ address: string; paired: Promise<Device> }> {
  const { words, paired } = await node.pair()
  paired.catch(() => {})
  return { address: JSON.stringify({ words, peers: node.status().listen }), paired }
}

export async function joinAt(node: SpacedockNode, address: string): Promise<Device> {
  const { words, peers } = JSON.parse(address) as { words: string; peers: string[] }
  const device = await node.join(words, { peers })
  if (device.state === 'connected') return device
  await new Promise<void>((resolve) => {
    const listening = new AbortController()
    const look = (): void => {
      if (device.state !== 'connected') return
      listening.abort()
      resolve()
    }
    node.addEventListener('device:connected', look, { signal: listening.signal })
    look()
  })
  return device
}
