import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createQuestions } from '../../src/daemon/questions.ts'

const question = { name: 'phone', deviceId: 'phone00000000000', digits: '123456' }

test('an answer goes to its own question', async () => {
  const { questions, written } = open()
  const { signal } = new AbortController()
  const first = questions.ask(question, { signal })
  const second = questions.ask({ ...question, name: 'laptop' }, { signal })
  questions.answer(idOf(written[1]), false)
  questions.answer(idOf(written[0]), true)
  assert.deepEqual(await Promise.all([first, second]), [true, false])
  assert.deepEqual(written[1], {
    ask: { id: idOf(written[1]), kind: 'confirm', ...question, name: 'laptop' },
  })
})

test('answers to no open question, or to one answered, change nothing', async () => {
  const { questions, written } = open()
  const asked = questions.ask(question, { signal: new AbortController().signal })
  const id = idOf(written[0])
  questions.answer(id + 1, true)
  questions.answer(id, false)
  questions.answer(id, true)
  assert.equal(await asked, false)
})

test('threat 53: an answer cannot be sent ahead of its question, because nobody knows its number', async () => {
  const { questions, written } = open()
  const tooLate = new AbortController()
  const asked = questions.ask(question, { signal: tooLate.signal })
  const again = questions.ask(question, { signal: tooLate.signal })
  for (let id = 0; id < 1000; id++) questions.answer(id, true)
  assert.ok(Math.abs(idOf(written[0]) - idOf(written[1])) > 1)
  tooLate.abort(new Error('nobody has answered'))
  for (const each of [asked, again]) await assert.rejects(each, /nobody has answered/u)
})

test('the client is told when its answer is no longer needed, and a late one is not taken', async () => {
  const { questions, written } = open()
  const tooLate = new AbortController()
  const asked = questions.ask(question, { signal: tooLate.signal })
  tooLate.abort(new Error('a minute is over'))
  await assert.rejects(asked, /a minute is over/u)
  const id = idOf(written[0])
  questions.answer(id, true)
  assert.deepEqual(written.at(-1), { withdrawn: { id } })
  await assert.rejects(questions.ask(question, { signal: tooLate.signal }), /a minute is over/u)
  assert.equal(written.length, 2, 'nothing is asked that is withdrawn already')
})

test('a client that has gone cannot be asked', async () => {
  const questions = createQuestions(async () => {
    throw new Error('gone')
  })
  await assert.rejects(questions.ask(question, { signal: new AbortController().signal }), /gone/u)
})

function idOf(line: unknown): number {
  return (line as { ask: { id: number } }).ask.id
}

function open() {
  const written: unknown[] = []
  const questions = createQuestions(async (line) => void written.push(line))
  return { questions, written }
}
