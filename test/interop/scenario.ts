import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { NodeOptions, SpacedockNode } from '../../src/api.ts'
import { device, localPlace, type TestDevice } from '../device.ts'
import { TestNodes } from '../node/nodes.ts'
import { ForeignDevice, type ForeignOptions } from './foreign-device.ts'
import type { ForeignProgram } from './foreign-program.ts'

/** Where a scenario plays: devices on the loopback interface, all gone when it is over. */
export interface Stage {
  /** A daemon of ours, started; it neither announces itself nor looks for others. */
  ours: (name: string, args?: readonly string[]) => Promise<TestDevice>
  /** The same as a node in this process, for what the command does not do. */
  node: (name: string, options?: Partial<NodeOptions>) => Promise<SpacedockNode>
  /** For data that outlive a node. */
  directory: () => Promise<string>
  /** The address of a rendezvous node of ours. */
  rendezvous: () => Promise<string>
  /** The address of a rendezvous node of the foreign program. */
  theirRendezvous: () => Promise<string>
  /** A device of the foreign program. */
  theirs: (name: string, options?: Partial<ForeignOptions>) => Promise<ForeignDevice>
  /** What the table says about it. */
  saw: (text: string) => void
}

export type Scenario = (title: string, play: (stage: Stage) => Promise<void>) => void

/** Scenarios of one program, which their titles call "theirs". */
export function scenariosOf(name: string, program: ForeignProgram | string): Scenario {
  return (title, play) => {
    const skip = typeof program === 'string' ? program : false
    test(title.replaceAll(/theirs/giu, name), { skip, timeout: 120_000 }, async (context) => {
      if (typeof program === 'string') return
      const place = localPlace()
      const closing: { close: () => Promise<void>; name: string; log: string }[] = []
      await using nodes = new TestNodes()
      try {
        await play({
          async ours(deviceName, args = []) {
            const made = await device(place, { name: deviceName, args: ['--mdns', 'off', ...args] })
            closing.push(made)
            await made.up()
            return made
          },
          node: (nodeName, options) => nodes.make(nodeName, options),
          directory: () => nodes.directory(),
          async rendezvous() {
            const dataDir = await mkdtemp(join(tmpdir(), 'spacedock-rendezvous-'))
            const interfaces = (place.interfaces ?? []).flatMap((each) => ['--interface', each])
            const args = ['rendezvous', '--json', '--dir', dataDir, ...interfaces]
            const running = place.spawn([process.execPath, entryPoint, ...args])
            closing.push({
              name: 'rendezvous node',
              get log() {
                return running.stderr
              },
              async close() {
                await running.stop()
                await rm(dataDir, { recursive: true, force: true })
              },
            })
            const line = await running.line((text) => text.includes('"listening"'))
            const { addresses } = JSON.parse(line) as { addresses: string[] }
            return firstIpv4(addresses)
          },
          async theirRendezvous() {
            const made = await ForeignDevice.rendezvousNode(program, place)
            closing.push(made)
            return firstIpv4(made.addresses)
          },
          async theirs(deviceName, options = {}) {
            const made = await ForeignDevice.start(program, place, { name: deviceName, ...options })
            closing.push(made)
            return made
          },
          saw: (text) => {
            context.diagnostic(text)
          },
        })
      } catch (error) {
        for (const each of closing) console.error(`--- ${each.name}'s log\n${each.log.slice(-6_000)}`)
        throw error
      } finally {
        await Promise.allSettled(closing.map((each) => each.close()))
      }
    })
  }
}

/** Runs something and says how long it took. */
export async function timed<T>(work: () => Promise<T>): Promise<{ result: T; took: string }> {
  const startedAt = performance.now()
  const result = await work()
  return { result, took: `${((performance.now() - startedAt) / 1000).toFixed(1)} s` }
}

function firstIpv4(addresses: readonly string[]): string {
  return addresses.find((address) => address.startsWith('/ip4/')) ?? assert.fail('it has no IPv4 address')
}

const entryPoint = fileURLToPath(new URL('../../bin/spacedock.js', import.meta.url))
