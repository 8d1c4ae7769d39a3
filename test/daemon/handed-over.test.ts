import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { handOver, takeOver } from '../../src/daemon/handed-over.ts'
import type { DaemonSettings } from '../../src/daemon/process.ts'
import { device, localPlace } from '../device.ts'

const secret = 'AAECAwQFBgcICQoLDA0ODw'
const rendezvous = [`/ip4/127.0.0.1/tcp/9/p2p/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5#${secret}`]

const tables: { what: string; settings: DaemonSettings }[] = [
  { what: 'no settings', settings: {} },
  { what: 'addresses with a secret', settings: { name: 'laptop', rendezvous } },
  { what: 'what is no address, with spaces and signs', settings: { rendezvous: ['a b', '"\\\n', 'none'] } },
]

for (const { what, settings } of tables) {
  test(`the daemon gets the settings that the command was given, and leaves nothing behind: ${what}`, () => {
    const { shown, environment } = handOver(settings, { PATH: '/bin' })
    assert.equal(shown.rendezvous, undefined)
    assert.deepEqual(takeOver(shown, environment), settings)
    assert.deepEqual(environment, { PATH: '/bin' })
  })
}

test('a start without addresses hands on none that its own environment held', () => {
  const { environment } = handOver({ rendezvous }, {})
  assert.deepEqual(handOver({}, environment).environment, {})
})

test(
  'the command line of a daemon that a command starts does not hold the secret of a relay, and it is kept',
  { skip: process.platform !== 'linux', timeout: 600_000 },
  async (context) => {
    const alice = await device(localPlace(), { name: 'alice' })
    context.after(() => alice.close())
    const { code, stderr } = await alice.cli(['up', '--rendezvous', rendezvous[0] ?? ''])
    assert.equal(code, 0, stderr)
    const { pid } = await alice.status()
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    assert.match(commandLine, /--report-fd/)
    assert.ok(!commandLine.includes(secret), commandLine)
    assert.match(readFileSync(`${alice.dataDir}/config.json`, 'utf8'), new RegExp(secret))
  },
)
