import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readLines } from '../../src/daemon/lines.ts'

const cap = 64

test('lines come out as they went in, however they are cut into chunks', async () => {
  const line = fc
    .string({ unit: 'grapheme', maxLength: 10 })
    .filter((text) => !text.includes('\n') && text.isWellFormed() && Buffer.byteLength(text) <= cap)
  await fc.assert(
    fc.asyncProperty(
      fc.array(line),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      async (lines, sizes) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''))
        const chunks: Uint8Array[] = []
        for (let start = 0, turn = 0; start < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1
          chunks.push(bytes.subarray(start, start + size))
          start += size
        }
        assert.deepEqual(await collect(chunks), lines)
      },
    ),
  )
})

test('a line of the largest size is taken, one byte more is refused before its end is seen', async () => {
  assert.deepEqual(await collect([Buffer.from(`${'x'.repeat(cap)}\n`)]), ['x'.repeat(cap)])
  await assert.rejects(collect([Buffer.from(`${'x'.repeat(cap + 1)}\n`)]), { code: 'too-large' })

  let taken = 0
  async function* long(): AsyncGenerator<Uint8Array> {
    for (; taken < 10 * cap; taken++) yield Buffer.from('x')
  }
  await assert.rejects(collect(long()), { code: 'too-large' })
  assert.equal(taken, cap)
})

test('what is not UTF-8, or not finished, is refused', async () => {
  await assert.rejects(collect([Uint8Array.of(0xc3, 0x28, 0x0a)]), { code: 'invalid-message' })
  await assert.rejects(collect([Buffer.from('{"half":')]), { code: 'invalid-message' })
})

async function collect(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<string[]> {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* chunks
  }
  const found: string[] = []
  for await (const line of readLines(source(), cap)) found.push(line)
  return found
}
