import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runProcess } from '../lab/process.ts'

test('the example for the library runs, and says what it promises', async () => {
  const file = fileURLToPath(new URL('../../examples/two-devices.ts', import.meta.url))
  const { code, stdout, stderr } = await runProcess([process.execPath, file], { deadlineMs: 60_000 })
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^laptop: pair with phone\? My screen shows \d{6}\.$/mu)
  assert.match(stdout, /^paired: laptop and phone$/mu)
  assert.match(stdout, /^phone: hello \(from laptop, delivered\)$/mu)
  assert.match(stdout, /^laptop: the phone has 1 note: laptop: buy milk$/mu)
})
