import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createQuestions } from '../../src/daemon/questions.ts'

const question = { name: 'phone', deviceId: 'phone00000000000', digits: '123456' }

test('an answer goes to its own question', async () => {
  const { questions, written } = open()
  const { signal } = new AbortController()
  const first = questions.ask(question, { signal })
  const second = questions.ask({ ...question, name: 'laptop' }, { signal })
  questions.answer(2, false)
  questions.answer(1, true)
  assert.deepEqual(await Promise.all([first, second]), [true, false])
  assert.deepEqual(written[1], { ask: { id: 2, kind: 'confirm', ...question, name: 'laptop' } })
})

test('answers to no open question, or to one answered, change nothing', async () => {
  const { questions } = open()
  questions.answer(1, true)
  const asked = questions.ask(question, { signal: new AbortController().signal })
  questions.answer(7, true)
  questions.answer(1, false)
  questions.answer(1, true)
  assert.equal(await asked, false)
})

test('the client is told when its answer is no longer needed, and a late one is not taken', async () => {
  const { questions, written } = open()
  const tooLate = new AbortController()
  const asked = questions.ask(question, { signal: tooLate.signal })
  tooLate.abort(new Error('a minute is over'))
  await assert.rejects(asked, /a minute is over/u)
  questions.answer(1, true)
  assert.deepEqual(written.at(-1), { withdrawn: { id: 1 } })
  await assert.rejects(questions.ask(question, { signal: tooLate.signal }), /a minute is over/u)
  assert.equal(written.length, 2, 'nothing is asked that is withdrawn already')
})

test('a client that has gone cannot be asked', async () => {
  const questions = createQuestions(async () => {
    throw new Error('gone')
  })
  await assert.rejects(questions.ask(question, { signal: new AbortController().signal }), /gone/u)
})

function open() {
  const written: unknown[] = []
  const questions = createQuestions(async (line) => void written.push(line))
  return { questions, written }
}
