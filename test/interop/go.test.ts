import { test } from 'node:test'
import { buildProgram, runInFolder } from './foreign-program.ts'
import { playScenarios } from './scenarios.ts'

const program = await buildProgram({
  name: 'Go',
  folder: 'go',
  // Debian's fetches the version that go.mod asks for.
  packages: { go: 'golang-go' },
  build: (output) => ['go', 'build', '-o', output, './cmd/device'],
})
const skip = typeof program === 'string' ? program : false

test('Go computes the test vectors, and its own tests pass', { skip }, async () => {
  await runInFolder('go', ['go', 'vet', './...'])
  await runInFolder('go', ['sh', '-c', 'files=$(gofmt -l .); echo "$files"; test -z "$files"'])
  await runInFolder('go', ['go', 'test', './...'])
})

playScenarios('Go', program)
