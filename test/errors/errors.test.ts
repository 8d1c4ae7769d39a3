import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test, type TestContext } from 'node:test'
import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import { errorCodes } from '../../src/errors.ts'
import { device, pairDevices } from '../device.ts'
import { commandLineSituations } from './command-line.ts'
import { daemonSituations } from './daemon.ts'
import { dataSituations } from './data.ts'
import { deviceSituations, Household } from './devices.ts'
import { whyNoNamespaces } from './machine.ts'
import { Hosts, networkSituations } from './network.ts'
import { Couple, pairingSituations } from './pairing.ts'
import {
  type Form,
  newDirectory,
  type Outcome,
  removeDirectories,
  type Situations,
  spacedock,
} from './situation.ts'
import { readTables } from './table.ts'
import { checkTold } from './told.ts'

/** docs/errors.md is read, and every row of it made to happen with real processes. */

const document = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
const rows = readTables(document, ['Situation', 'Code', 'Exit code', 'Message', 'What to do'])
const codes = readTables(document, ['Code', 'Exit code', 'Meaning'])

const household = new Household()
const couple = new Couple()
const hosts = new Hosts()
const situations: Situations = {
  ...pairingSituations(couple),
  ...daemonSituations,
  ...dataSituations,
  ...networkSituations(hosts),
  ...deviceSituations(household),
  ...commandLineSituations,
}

test('every situation in the table is made to happen, and none that is not in it', () => {
  assert.deepEqual(new Set(rows.map(([situation]) => situation)), new Set(Object.keys(situations)))
  assert.equal(rows.length, Object.keys(situations).length)
})

test('every code has its row, with the exit code that the command ends with', () => {
  const expected = errorCodes.map((code) => [code, String(exitCodeOf(code))])
  assert.deepEqual(
    codes.map(([code, exitCode]) => [code, exitCode]),
    expected,
  )
})

test('every message and every hint is a sentence that begins like one and ends like one', () => {
  const loose = /^(?:[A-Z].*|<.*)[.?]$/su
  for (const [situation, , , message = '', hint = ''] of rows) {
    assert.match(message, loose, situation)
    assert.match(hint, /^[A-Z].*(?:[.?]|>)$/su, situation)
  }
  const source = join(import.meta.dirname, '../../src')
  for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    const text = readFileSync(join(source, file), 'utf8')
    const thrown = text.matchAll(
      /new SpacedockError\(\s*'[a-z-]+',\s*(?<quote>['`])(?<message>.*?)\k<quote>/gsu,
    )
    for (const { groups } of thrown) {
      assert.match(groups?.['message'] ?? '', /^(?:[A-Z]|\$\{).*\.$/su, file)
    }
  }
})

describe('each situation is told as docs/errors.md says', { concurrency: 4, timeout: 600_000 }, () => {
  after(async () => {
    await Promise.all([household.close(), couple.close(), hosts.close()])
    await removeDirectories()
  })
  for (const [name = '', code = '', exitCode = '', message = '', hint = ''] of rows) {
    const {
      forms = ['json'] satisfies Form[],
      obstacle,
      provoke,
    } = situations[name] ?? {
      provoke: async (): Promise<Outcome> => assert.fail(`nothing makes it happen: ${name}`),
    }
    test(name, async (t) => {
      if (await isImpossible(t, obstacle)) return
      const expected = { code, exitCode: Number(exitCode), message, hint }
      for (const form of forms) checkTold(await provoke(form), form, expected)
    })
  }

  test('`status` while no daemon runs is an answer, and no error', async () => {
    const dataDir = await newDirectory('none')
    const outcome = await spacedock(['status'], { form: 'json', dataDir })
    assert.deepEqual(outcome, { kind: 'command', code: 3, stdout: '{"running":false}\n', stderr: '' })
  })

  test('after a no, the same two devices pair with the next code', async () => {
    await couple.alone(async (dora, emil) => {
      const declined = dora.spawnCli(['pair', '--yes'])
      const joining = emil.spawnCli(['join', '--confirm-on-stdin', '-'])
      joining.write(`${(await declined.waitForEvent('code')).words}\n`)
      await joining.waitForEvent('confirm')
      joining.end('no\n')
      assert.equal((await declined.finished()).code, 6)
      await pairDevices(dora, emil)
    })
  })

  test('where multicast is blocked, `pair` and `join` say so and what to do, and an address works', async (t) => {
    if (await isImpossible(t, whyNoNamespaces)) return
    const lab = await hosts.lab
    const lan = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const [hostA, hostB] = [await lab.host('blocked-a', [lan]), await lab.host('blocked-b', [lan])]
    await hostA.firewall({ dropMulticast: true })
    await hostB.run(['nft', '-f', '-'], { input: swallowIncomingMulticast })
    await using alice = await device(hostA, { name: 'alice' })
    await using bob = await device(hostB, { name: 'bob' })
    await Promise.all([alice.up(), bob.up()])

    const pairing = alice.spawnCli(['pair', '--yes'])
    const { words } = await pairing.waitForEvent('code')
    const refused = await pairing.progress(
      ({ source, status }) => source === 'local-network' && status === 'unavailable',
    )
    assert.match(
      String(refused['message']),
      /not available \(eth0: a firewall of this machine refuses multicast/u,
    )
    assert.match(
      String((await pairing.progress(({ event }) => event === 'advice'))['message']),
      /join --peer/u,
    )

    const searching = bob.spawnCli(['join', '--yes', '--timeout', '20', '-'])
    searching.end(`${words}\n`)
    const swallowed = await searching.progress(
      ({ source, status }) => source === 'local-network' && status === 'unavailable',
    )
    assert.match(String(swallowed['message']), /not available \(eth0: multicast packets are swallowed/u)
    assert.match(String((await searching.progress(({ event }) => event === 'advice'))['message']), /--peer/u)
    await searching.interrupt()

    const { listen = [] } = await alice.status()
    const address = listen.find((each) => each.includes('10.1.0.')) ?? ''
    const joined = await bob.cli(['join', '--yes', '--peer', address, '-'], { input: `${words}\n` })
    assert.equal(joined.code, 0, joined.stderr)
  })

  test('on a host that is on no network, `pair` says that it reaches only this machine', async (t) => {
    if (await isImpossible(t, whyNoNamespaces)) return
    await using lonely = await device(await (await hosts.lab).host('lonely', []), { name: 'lonely' })
    const pairing = lonely.spawnCli(['pair', '--yes'])
    const { message } = await pairing.progress(({ source }) => source === 'local-network')
    assert.match(String(message), /lo, which reaches only this machine/u)
  })
})

const swallowIncomingMulticast = `
table inet swallow {
  chain input {
    type filter hook input priority 0
    ip daddr 224.0.0.0/4 drop
    meta l4proto udp ip6 daddr ff00::/8 drop
  }
}
`

/** Skips the test loudly, or fails it where everything has to run. */
async function isImpossible(
  t: TestContext,
  obstacle: (() => Promise<string | false>) | undefined,
): Promise<boolean> {
  const reason = (await obstacle?.()) ?? false
  if (reason === false) return false
  assert.ok((process.env['CI'] ?? '') === '', `${t.name}: ${reason}`)
  t.skip(`NOT TESTED: ${reason}`)
  return true
}
