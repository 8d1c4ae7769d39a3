import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { device, localPlace, pairDevices, type TestDevice } from '../device.ts'
import { withDaemon } from './daemon.ts'
import { atTerminal, inBothForms, type Situation, type Situations, spacedock } from './situation.ts'

/**
 * Five devices that have been paired with each other: alice knows bella, who is off; bert, who has ended the pairing; carl, with
 * whom she has ended it herself; and dan, who is connected.
 */
export class Household {
  #alice: Promise<TestDevice> | undefined
  readonly #devices: TestDevice[] = []

  get alice(): Promise<TestDevice> {
    return (this.#alice ??= this.#start())
  }

  /** While dan's process stands still. */
  async whileDanIsStopped<Result>(work: (alice: TestDevice) => Promise<Result>): Promise<Result> {
    const alice = await this.alice
    const dan = this.#devices.at(-1)
    const { pid = 0 } = (await dan?.status()) ?? {}
    await alice.waitForState('dan', 'connected')
    process.kill(pid, 'SIGSTOP')
    try {
      return await work(alice)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#devices.map((each) => each.close()))
  }

  async #start(): Promise<TestDevice> {
    const names = ['alice', 'bella', 'bert', 'carl', 'dan'] as const
    const made = await Promise.all(names.map((name) => device(localPlace(), { name })))
    const [alice, bella, bert, carl, dan] = made
    if (!alice || !bella || !bert || !carl || !dan) throw new Error('five names make five devices')
    this.#devices.push(...made)
    await Promise.all(this.#devices.map((each) => each.up()))
    for (const each of [bella, bert, carl, dan]) await pairDevices(alice, each)
    await Promise.all([
      bella.down(),
      bert.cli(['revoke', 'alice', '--yes']),
      alice.cli(['revoke', 'carl', '--yes']),
    ])
    await alice.waitForState('bella', 'disconnected')
    await fillOutbox(alice, 'bella')
    await alice.waitForState('bert', 'needs-pairing')
    return alice
  }
}

/** Ten thousand messages, the short way. */
async function fillOutbox(alice: TestDevice, name: string): Promise<void> {
  const { peerId = '' } = await alice.waitForState(name, 'disconnected')
  await alice.down()
  const database = new DatabaseSync(join(alice.dataDir, 'spacedock.db'))
  database
    .prepare(
      `WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 10000)
        INSERT INTO outbox (id, peer_id, kind, body, at_ms) SELECT 'message-' || n, ?, 'text', zeroblob(1), 0 FROM number`,
    )
    .run(peerId)
  database.close()
  await alice.up()
}

export function deviceSituations(household: Household): Situations {
  const atAlice = (args: readonly string[], input = ''): Situation => ({
    forms: inBothForms,
    provoke: async (form) =>
      spacedock(['--no-start', ...args], { form, input, dataDir: (await household.alice).dataDir }),
  })
  return {
    'a device name that no device has': atAlice(['ping', 'bela']),
    'a device name while no device is paired': {
      provoke: (form) => withDaemon(({ dataDir }) => spacedock(['ping', 'bella'], { form, dataDir })),
    },
    'a name that fits several devices': atAlice(['ping', 'be']),
    '`ping` to a device that is off': atAlice(['ping', 'bella']),
    '`ping` to a device that falls silent': {
      provoke: (form) =>
        household.whileDanIsStopped(({ dataDir }) => spacedock(['ping', 'dan'], { form, dataDir })),
    },
    '`rename` of a device whose pairing was ended here': atAlice(['rename', 'carl', 'charles']),
    '`revoke`, and the person says no': {
      forms: ['text'],
      provoke: async (form) => {
        const { dataDir } = await household.alice
        return spacedock(['revoke', 'dan'], { form, dataDir, env: atTerminal, input: 'n\n' })
      },
    },
    '`send` to a device whose pairing was ended here': atAlice(['send', 'carl', 'hello']),
    '`send` to a device that has ended the pairing': atAlice(['send', 'bert', 'hello']),
    '`rename` to a name that another device has': atAlice(['rename', 'bert', 'bella']),
    '`rename` to a name that cannot be seen': atAlice(['rename', 'bert', '\u200b']),
    '`send` with a message of control characters': atAlice(['send', 'bella', '-'], '\u0001'.repeat(200_000)),
    '`send` to a device for which too much waits already': atAlice(['send', 'bella', 'hello']),
    '`send` with a message that is too large': atAlice(['send', 'bella', '-'], 'x'.repeat(262_145)),
  }
}
