import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceInfo, DeviceState } from '../../src/api.ts'
import { hintAtNamesake, namesakeOf, shellWord } from '../../src/cli/namesake.ts'
import type { CommandContext } from '../../src/cli/command.ts'

function called(name: string, state: DeviceState = 'connected'): DeviceInfo {
  return { name, state, peerId: `peer of ${name}, ${state}` } as DeviceInfo
}

const long = 'x'.repeat(48)
const rows: [what: string, name: string, others: DeviceInfo[], namesake: string | undefined][] = [
  ['a device that is away has the name', 'bob (2)', [called('bob', 'disconnected')], 'bob'],
  ['it was not looked for yet', 'bob (2)', [called('bob', 'paired')], 'bob'],
  ['it does not know this device any more', 'bob (2)', [called('bob', 'needs-pairing')], 'bob'],
  ['it is connected: another device', 'bob (2)', [called('bob', 'connected')], undefined],
  ['it is revoked: the name was free', 'bob (2)', [called('bob', 'revoked')], undefined],
  ['the name was free', 'bob', [called('alice', 'disconnected')], undefined],
  ['that is its own name', 'bob (2)', [called('alice', 'disconnected')], undefined],
  ['it is the third one', 'bob (3)', [called('bob (2)', 'connected'), called('bob', 'disconnected')], 'bob'],
  ['it is spelt in another way', 'Bob (2)', [called('bob', 'disconnected')], 'bob'],
  ['the number took a part of the name', `${'x'.repeat(44)} (2)`, [called(long, 'disconnected')], long],
  ['a number that is none', 'bob (0)', [called('bob', 'disconnected')], undefined],
  ['a number far too large', `bob (${'9'.repeat(30)})`, [called('bob', 'disconnected')], undefined],
]

for (const [what, name, others, namesake] of rows) {
  test(`whose place a new device may take: ${what}`, () => {
    const device = called(name)
    assert.equal(namesakeOf(device, [device, ...others])?.name, namesake)
  })
}

test('the daemon is asked for namesakes only where a new device was given a number', async () => {
  const asked: string[] = []
  const hinted: unknown[] = []
  const context = {
    daemon: {
      call: (method: string) => {
        asked.push(method)
        return Promise.resolve({ devices: [called('bob', 'disconnected')] })
      },
    },
    output: { progress: (event: unknown) => hinted.push(event) },
  } as unknown as CommandContext
  await hintAtNamesake(context, called('alice'))
  assert.deepEqual([asked, hinted.length], [[], 0])
  await hintAtNamesake(context, called('bob (2)'))
  assert.deepEqual([asked, hinted.length], [['devices'], 1])
})

test('a name is one word for a shell, whatever another device calls itself', () => {
  const words: [name: string, word: string][] = [
    ['bob', 'bob'],
    ['bobs-phone_2.0', 'bobs-phone_2.0'],
    ['Büro', 'Büro'],
    ['bob (2)', '"bob (2)"'],
    ['$(reboot)', "'$(reboot)'"],
    ['`reboot`', "'`reboot`'"],
    ["bob's; reboot", String.raw`'bob'\''s; reboot'`],
    ['"', `'"'`],
    ['!!', "'!!'"],
    ['', "''"],
  ]
  for (const [name, word] of words) assert.equal(shellWord(name), word)
})
