import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createNode } from '../../src/node.ts'
import { runProcess, RunningProcess } from '../lab/process.ts'
import { until } from '../network/real-hosts.ts'

test('the example for the library runs, and says what it promises', async () => {
  const file = fileURLToPath(new URL('../../examples/two-devices.ts', import.meta.url))
  const { code, stdout, stderr } = await runProcess([process.execPath, file], { deadlineMs: 60_000 })
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^laptop: pair with phone\? \d{6} was typed\.$/mu)
  assert.match(stdout, /^paired: laptop and phone$/mu)
  assert.match(stdout, /^phone: hello \(from laptop, delivered\)$/mu)
  assert.match(stdout, /^laptop: the phone has 1 note: laptop: buy milk$/mu)
})

test('three devices share a list of notes, also one that was away and one that is paired with one other only', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shared-notes-'))
  const running = new Set<RunningProcess>()
  const start = (name: string): RunningProcess => {
    const device = new RunningProcess([process.execPath, sharedNotes, join(folder, name), loopbackInterface])
    running.add(device)
    return device
  }
  try {
    const [laptop, phone, desktop] = ['laptop', 'phone', 'desktop'].map(start)
    assert.ok(laptop && phone && desktop)
    laptop.write('add buy milk\n')
    await pairTwo(laptop, phone)
    await pairTwo(phone, desktop)
    const milk = await desktop.line((line) => /^note \w{4}: buy milk$/u.test(line))

    phone.write('quit\n')
    await phone.finished()
    desktop.write('add call Ann\n')
    laptop.write(`done ${milk.slice(5, 9)}\n`)
    await desktop.line((line) => line.endsWith('call Ann'))
    await laptop.line((line) => line.startsWith('done '))

    const phoneAgain = start('phone')
    await Promise.all([
      laptop.line((line) => line.endsWith('call Ann')),
      desktop.line((line) => line.startsWith('done ')),
      phoneAgain.line((line) => line.startsWith('done ')),
    ])
    phoneAgain.write('list\n')
    await phoneAgain.line((line) => /^x \w{4} buy milk$/u.test(line))
    await phoneAgain.line((line) => /^ {2}\w{4} call Ann$/u.test(line))

    phoneAgain.write('quit\n')
    await phoneAgain.finished()
    await revokeAll(join(folder, 'phone'))
    laptop.write('add still here\nlist\n')
    await laptop.line((line) => /^ {2}\w{4} still here$/u.test(line))
    laptop.write('quit\n')
    assert.equal((await laptop.finished()).code, 0)
  } finally {
    await Promise.all([...running].map((device) => device.stop()))
    await rm(folder, { recursive: true, force: true })
  }
})

const sharedNotes = fileURLToPath(new URL('../../examples/shared-notes.ts', import.meta.url))
const loopbackInterface = process.platform === 'darwin' ? 'lo0' : 'lo'

/** Ends the pairings of a device whose own program does not run, and tells the others. */
async function revokeAll(dataDir: string): Promise<void> {
  await using node = await createNode({ dataDir, interfaces: [loopbackInterface] })
  const devices = node.devices()
  await until(() => devices.every(({ state }) => state === 'connected'), 'all are connected')
  for (const device of devices) await device.revoke()
}

function isPaired(line: string): boolean {
  return line.startsWith('paired with ')
}

async function pairTwo(one: RunningProcess, other: RunningProcess): Promise<void> {
  const paired = [one, other].map((device) => device.lines().filter(isPaired).length)
  one.write('pair\n')
  const join = await one.until(() => one.lines().findLast((line) => line.startsWith('join ')))
  other.write(`${join}\n`)
  await Promise.all(
    [one, other].map((device, at) =>
      device.until(() => (device.lines().filter(isPaired).length > (paired[at] ?? 0) ? true : undefined)),
    ),
  )
}
