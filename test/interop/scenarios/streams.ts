import assert from 'node:assert/strict'
import * as v from 'valibot'
import { defineStream } from '../../../src/index.ts'
import type { ForeignProgram } from '../foreign-program.ts'
import { scenariosOf, timed } from '../scenario.ts'
import { couple, roles } from './couple.ts'

const mirror = defineStream({
  name: 'interop-mirror',
  version: 1,
  request: v.unknown(),
  handler: async (_request, { readable, writable }) => await readable.pipeTo(writable),
})
/** Far more than any window. */
const size = 5_000_000
const period = 251

/** Byte streams, opened by either side. */
export function streamScenarios(name: string, program: ForeignProgram | string): void {
  const scenario = scenariosOf(name, program)
  for (const role of roles) {
    scenario(`byte streams that ours opens; theirs is the ${role}`, async (stage) => {
      const { device } = await couple(stage, role)
      const opened = await device.openStream(mirror, 'please')
      const { took } = await timed(async () => {
        const [received] = await Promise.all([
          readPattern(opened.readable),
          writePattern(opened.writable, size),
        ])
        assert.equal(received, size)
        await opened.closed
      })
      stage.saw(`${size / 1e6} MB there and back in ${took}`)
      const stopped = await device.openStream(mirror, 'please')
      stopped.abort(new Error('enough'))
      await assert.rejects(stopped.closed)
      await assert.rejects(device.openStream({ ...mirror, name: 'interop-nothing' }, 'please'), {
        code: 'unknown-protocol',
      })
      assert.ok((await device.ping()).roundTripMs >= 0)
    })

    scenario(`byte streams that theirs opens; theirs is the ${role}`, async (stage) => {
      const { node, theirs } = await couple(stage, role, (ours) => void ours.handle(mirror))
      const open = { peerId: node.peerId, name: 'interop-mirror', version: 1, body: 'please', bytes: size }
      const { result, took } = await timed(() => theirs.call('stream', open))
      assert.deepEqual(result, { sent: size, received: size, intact: true })
      stage.saw(`${size / 1e6} MB there and back in ${took}`)
      const several = await Promise.all(
        Array.from({ length: 8 }, () => theirs.call('stream', { ...open, bytes: 300_000 })),
      )
      assert.ok(several.every(({ intact, received }) => intact === true && received === 300_000))
      const refused = await theirs.fails('stream', { ...open, name: 'interop-nothing' })
      assert.equal(refused.code, 'unknown-protocol')
      assert.ok((await theirs.call('ping', { peerId: node.peerId })).ms)
    })
  }
}

async function writePattern(writable: WritableStream<Uint8Array>, count: number): Promise<void> {
  const writer = writable.getWriter()
  const chunk = 10_000
  for (let at = 0; at < count; at += chunk) {
    await writer.write(Uint8Array.from({ length: chunk }, (_, index) => (at + index) % period))
  }
  await writer.close()
}

/** Reads to the end; returns how many bytes came. */
async function readPattern(readable: AsyncIterable<Uint8Array>): Promise<number> {
  let at = 0
  for await (const chunk of readable) {
    assert.ok(chunk.every((byte, index) => byte === (at + index) % period))
    at += chunk.length
  }
  return at
}
