import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Device, SpacedockNode } from '../../../src/index.ts'
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
export async function startNode(name: string): Promise<SpacedockNode> {
  const dataDir = mkdtempSync(join(tmpdir(), 'spacedock-bench-'))
  process.once('exit', () => rmSync(dataDir, { recursive: true, force: true }))
  const { createNode } = await library()
  return createNode({ dataDir, name, interfaces: [loopback], mdns: false })
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
  await new Promise<void>((resolve) =>
    node.addEventListener('device:connected', () => resolve(), { once: true }),
  )
  return device
}
