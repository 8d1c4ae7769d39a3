import assert from 'node:assert/strict'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import { SpacedockError } from '../../src/errors.ts'
import { createNode } from '../../src/node.ts'
import { device, localPlace, type TestDevice } from '../device.ts'
import { LeapingClock } from '../leaping-clock.ts'
import { foreignHost } from '../network/real-hosts.ts'
import { Terminal, whyNoTerminal } from '../terminal.ts'
import { asCommand, entryPoint, newDirectory, type Situations, spacedock } from './situation.ts'

/** A pairing that comes to nothing. */

const unused = 'legal winner thank year wave sausage worth useful legal winner thank yellow'

/** Dora shows codes, emil types them. Pairings between the same two devices happen one after the other. */
export class Couple {
  #devices: Promise<{ dora: TestDevice; emil: TestDevice }> | undefined
  #last: Promise<unknown> = Promise.resolve()

  async alone<Result>(work: (dora: TestDevice, emil: TestDevice) => Promise<Result>): Promise<Result> {
    this.#devices ??= this.#start()
    const { dora, emil } = await this.#devices
    const result = this.#last.then(async () => work(dora, emil))
    this.#last = result.catch(() => undefined)
    return result
  }

  async close(): Promise<void> {
    const devices = await this.#devices
    await Promise.all([devices?.dora.close(), devices?.emil.close()])
  }

  async #start(): Promise<{ dora: TestDevice; emil: TestDevice }> {
    const [dora, emil] = await Promise.all([
      device(localPlace(), { name: 'dora' }),
      device(localPlace(), { name: 'emil' }),
    ])
    await Promise.all([dora.up(), emil.up()])
    return { dora, emil }
  }
}

export function pairingSituations(couple: Couple): Situations {
  const joinAtEmil = (args: readonly string[]) => ({
    provoke: async (form: 'json' | 'text') =>
      couple.alone(async (_, { dataDir }) =>
        spacedock(['join', '--no-start', '--yes', '-', ...args], { form, dataDir, input: unused }),
      ),
  })
  return {
    '`join` with a code that nobody shows': joinAtEmil(['--timeout', '1']),
    '`join --peer` with something else than an address': joinAtEmil(['--peer', '192.168.1.20:4001']),
    '`join --peer` with an address that names no device': joinAtEmil([
      '--peer',
      '/ip4/192.168.1.20/tcp/4001',
    ]),
    '`join --peer` with an address of another kind': joinAtEmil([
      '--peer',
      '/ip4/192.168.1.20/udp/4001/p2p/12D3KooWRR24oqVMCR6qrQPpsRy4JqhUBSUTZaQHdFVmk7KXr22t',
    ]),
    '`join --peer` with an address that refuses connections': joinAtEmil([
      '--timeout',
      '2',
      '--peer',
      '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWRR24oqVMCR6qrQPpsRy4JqhUBSUTZaQHdFVmk7KXr22t',
    ]),
    '`join` with a code whose `pair` was ended': {
      provoke: (form) =>
        couple.alone(async (dora, { dataDir }) => {
          const pairing = dora.spawnCli(['pair', '--yes'])
          const { words = '' } = await pairing.waitForEvent('code')
          await pairing.interrupt()
          return spacedock(['join', '--no-start', '--yes', '-'], { form, dataDir, input: words })
        }),
    },
    '`join` with the code that this device shows itself': {
      provoke: (form) =>
        couple.alone(async (dora) => {
          const pairing = dora.spawnCli(['pair', '--yes'])
          const { words = '' } = await pairing.waitForEvent('code')
          const { dataDir } = dora
          const joining = await spacedock(['join', '--no-start', '--yes', '-'], {
            form,
            dataDir,
            input: words,
          })
          await pairing.interrupt()
          return joining
        }),
    },
    'the person at the other device says no to `join`': {
      provoke: (form) =>
        couple.alone(async (dora, { dataDir }) => {
          const pairing = dora.spawnCli(['pair', '--confirm-on-stdin'])
          const { words = '' } = await pairing.waitForEvent('code')
          const joining = spacedock(['join', '--no-start', '--yes', '-'], { form, dataDir, input: words })
          await pairing.waitForEvent('confirm')
          pairing.end('no\n')
          return joining
        }),
    },
    'the person at the other device says no to `pair`': {
      provoke: () =>
        couple.alone(async (dora, emil) => {
          const pairing = dora.spawnCli(['pair', '--yes'])
          const { words } = await pairing.waitForEvent('code')
          const joining = emil.spawnCli(['join', '--confirm-on-stdin', '-'])
          joining.write(`${words}\n`)
          await joining.waitForEvent('confirm')
          joining.end('no\n')
          return asCommand(await pairing.process.finished())
        }),
    },
    'the digits that are typed at `pair` are not those of the other screen, three times': {
      obstacle: async () => whyNoTerminal,
      forms: ['text'],
      provoke: () =>
        couple.alone(async (dora, emil) => {
          const command = [process.execPath, entryPoint, '--dir', dora.dataDir, 'pair']
          const pairing = new Terminal(command)
          const [grid] = await pairing.shows(/1 [a-z][^]*12 [a-z]+/u)
          const joining = emil.spawnCli(['join', '--yes', '-'])
          joining.end(`${grid.replaceAll(/[\d\s]+/gu, ' ').trim()}\n`)
          const { digits } = await joining.progress(({ event }) => event === 'digits')
          for (let entry = 0; entry < 3; entry++) {
            await pairing.shows(/on its screen: /u)
            pairing.type(digits === '000000' ? '000001\n' : '000000\n')
          }
          const { code, screen } = await pairing.finished()
          return { kind: 'command', code, stdout: '', stderr: screen }
        }),
    },
    '`join` with a code that was used': {
      provoke: (form) =>
        couple.alone(async (dora, emil) => {
          await using third = await device(localPlace(), { name: 'third' })
          await third.up()
          const pairing = dora.spawnCli(['pair', '--yes'])
          const { words = '' } = await pairing.waitForEvent('code')
          assert.equal((await emil.cli(['join', '--yes', '-'], { input: words })).code, 0)
          return await spacedock(['join', '--no-start', '--yes', '-'], {
            form,
            dataDir: third.dataDir,
            input: words,
          })
        }),
    },
    '`join`, and the only device there speaks a newer version of pairing': {
      provoke: async (form) => {
        const newer = await newerDevice()
        try {
          const peer = String(newer.getMultiaddrs()[0])
          return await joinAtEmil(['--timeout', '5', '--peer', peer]).provoke(form)
        } finally {
          await newer.stop()
        }
      },
    },
    '`join` by way of a rendezvous node that is newer': {
      provoke: async () => {
        const node = await foreignHost()
        await node.handle('/spacedock/kad/2.0.0', (stream) => stream.abort(new Error('not for us')))
        try {
          const rendezvous = [String(node.getMultiaddrs()[0])]
          const interfaces = [...(localPlace().interfaces ?? [])]
          await using alice = await createNode({
            dataDir: await newDirectory(),
            interfaces,
            mdns: false,
            rendezvous,
          })
          return { kind: 'library', error: await errorOf(alice.join(unused, { timeoutMs: 5_000 })) }
        } finally {
          await node.stop()
        }
      },
    },
    '`pair`, and the only device there speaks a newer version of pairing': {
      provoke: async () => ({ kind: 'library', error: await expiredBesideANewerOne() }),
    },
    // Five minutes are too long for a test, and nothing in the command can shorten them: the library takes a clock.
    '`pair` for five minutes, and no device has joined': {
      provoke: async () => ({ kind: 'library', error: (await expired()).ofPair }),
    },
    '`join` with a code that is older than five minutes': {
      provoke: async () => ({ kind: 'library', error: (await expired()).ofJoin }),
    },
  }
}

let expiry: Promise<{ ofPair: SpacedockError; ofJoin: SpacedockError }> | undefined

function expired(): Promise<{ ofPair: SpacedockError; ofJoin: SpacedockError }> {
  return (expiry ??= letCodeExpire())
}

async function letCodeExpire(): Promise<{ ofPair: SpacedockError; ofJoin: SpacedockError }> {
  const clock = new LeapingClock()
  const interfaces = [...(localPlace().interfaces ?? [])]
  await using alice = await createNode({ dataDir: await newDirectory(), interfaces, clock, mdns: false })
  await using bob = await createNode({ dataDir: await newDirectory(), interfaces, mdns: false })
  const { words, paired } = await alice.pair()
  const ofPair = errorOf(paired)
  clock.leap(5 * 60_000)
  const ofJoin = errorOf(bob.join(words, { peers: alice.status().listen, timeoutMs: 20_000 }))
  return { ofPair: await ofPair, ofJoin: await ofJoin }
}

/** A device of a later version, as far as others can see. */
async function newerDevice(): Promise<Libp2p> {
  const newer = await foreignHost()
  await newer.handle('/spacedock/pairing/2.0.0', (stream) => stream.abort(new Error('not for us')))
  return newer
}

async function expiredBesideANewerOne(): Promise<SpacedockError> {
  const clock = new LeapingClock()
  const interfaces = [...(localPlace().interfaces ?? [])]
  await using alice = await createNode({ dataDir: await newDirectory(), interfaces, clock, mdns: false })
  const newer = await newerDevice()
  try {
    const met = Promise.withResolvers<void>()
    const { paired } = await alice.pair({
      onProgress: ({ kind }) => {
        if (kind === 'other-version') met.resolve()
      },
    })
    const ofPair = errorOf(paired)
    await newer.dial(alice.status().listen.map((address) => multiaddr(address)))
    await met.promise
    clock.leap(5 * 60_000)
    return await ofPair
  } finally {
    await newer.stop()
  }
}

async function errorOf(work: Promise<unknown>): Promise<SpacedockError> {
  const error: unknown = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  assert.ok(error instanceof SpacedockError, String(error))
  return error
}
