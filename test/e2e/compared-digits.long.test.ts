import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { device, localPlace, type TestDevice } from '../device.ts'
import { Terminal, whyNoTerminal } from '../terminal.ts'

/** Real commands at real terminals: what people see and type when two devices are paired. */

const entryPoint = fileURLToPath(new URL('../../bin/spacedock.js', import.meta.url))
const words = /((?:[a-z]+ ){11}[a-z]+)/u

describe('people who compare digits', { skip: whyNoTerminal, timeout: 900_000 }, () => {
  test('type those of the other screen, with a slip and the spaces that are shown there, and say yes', async () => {
    await using alice = await couple()
    const { pairing, joining } = await alice.meet()
    const digits = (await joining.shows(/Type (\d{3} \d{3}) on the other device/u))[1] ?? ''
    await pairing.shows(/Type the six digits on its screen: /u)
    assert.ok(!pairing.screen.includes(digits), 'nobody can copy them from this screen')
    pairing.type('y\n')
    await pairing.shows(/The other device shows six digits[^]*on its screen: /u)
    pairing.type(`${other(digits)}\n`)
    await pairing.shows(/not the digits of this pairing[^]*on its screen: /u)
    assert.ok(!pairing.screen.includes(digits), 'a wrong entry is not told the right one')
    pairing.type(`${digits}\n`)
    await pairing.shows(new RegExp(`Right: both screens show ${digits}`, 'u'))
    await joining.shows(new RegExp(`Do both screens show ${digits}\\? \\[y/N\\] `, 'u'))
    joining.type('y\n')
    for (const terminal of [pairing, joining])
      assert.equal((await terminal.finished()).code, 0, terminal.screen)
  })

  test('threat 53: other digits, three times, are a no at both devices', async () => {
    await using alice = await couple()
    const { pairing, joining } = await alice.meet()
    const digits = (await joining.shows(/Type (\d{3} \d{3}) on the other device/u))[1] ?? ''
    for (let entry = 1; entry <= 3; entry++) {
      await pairing.shows(/on its screen: /u)
      // Enter alone is no answer, and asks again.
      pairing.type(entry === 2 ? '\n' : `${other(digits)}\n`)
    }
    const { code, screen } = await pairing.finished()
    assert.equal(code, 6)
    assert.match(screen, /digits that were typed are not those of this pairing\.[^]*somebody is in between/u)
    const joined = await joining.finished()
    assert.equal(joined.code, 6)
    assert.match(joined.screen, /The pairing was declined/u)
  })

  test('threat 53: what is typed or pasted ahead answers neither question', async () => {
    await using alice = await couple()
    const { pairing, joining } = await alice.meet({
      pairingTypes: 'y\n123456\n',
      joiningTypes: 'y\ny\nyes',
    })
    const digits = (await joining.shows(/Type (\d{3} \d{3}) on the other device/u))[1] ?? ''
    await pairing.shows(/on its screen: /u)
    pairing.type(`${digits}\n`)
    await pairing.shows(/Right/u)
    await joining.shows(/\[y\/N\] /u)
    joining.type('n\n')
    for (const terminal of [joining, pairing])
      assert.equal((await terminal.finished()).code, 6, terminal.screen)
    assert.doesNotMatch(pairing.screen, /The other device shows six digits|not the digits/u)
  })
})

/** Six digits of which one is another one. */
function other(digits: string): string {
  return digits.replace(/\d$/u, (last) => String((Number(last) + 1) % 10))
}

interface Meeting {
  pairing: Terminal
  joining: Terminal
}

class Couple {
  readonly #alice: TestDevice
  readonly #bob: TestDevice
  readonly #terminals: Terminal[] = []

  constructor(alice: TestDevice, bob: TestDevice) {
    this.#alice = alice
    this.#bob = bob
  }

  /** One shows the words and one types them; what they type ahead is on its screen before the two devices have met. */
  async meet({ pairingTypes = '', joiningTypes = '' } = {}): Promise<Meeting> {
    const pairing = this.#terminal(this.#alice, ['pair'])
    const grid = await pairing.shows(/1 [^]*12 [a-z]+/u)
    pairing.type(pairingTypes)
    for (const line of pairingTypes.split('\n')) await pairing.shows(new RegExp(line, 'u'))
    const joining = this.#terminal(this.#bob, ['join'])
    await joining.shows(/The twelve words: /u)
    joining.type(`${grid[0].replaceAll(/[\d\s]+/gu, ' ').trim()}\n`)
    await joining.shows(words)
    joining.type(joiningTypes)
    return { pairing, joining }
  }

  #terminal(of: TestDevice, args: readonly string[]): Terminal {
    const command = [process.execPath, entryPoint, '--dir', of.dataDir, ...args]
    const terminal = new Terminal(command, { env: { SPACEDOCK_DIR: undefined, NO_COLOR: '1' } })
    this.#terminals.push(terminal)
    return terminal
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#terminals.map((terminal) => terminal.stop()))
    await Promise.all([this.#alice.close(), this.#bob.close()])
  }
}

async function couple(): Promise<Couple> {
  const [alice, bob] = await Promise.all([
    device(localPlace(), { name: 'alice' }),
    device(localPlace(), { name: 'bob' }),
  ])
  await Promise.all([alice.up(), bob.up()])
  return new Couple(alice, bob)
}
