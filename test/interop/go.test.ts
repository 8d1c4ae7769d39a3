import { buildProgram } from './foreign-program.ts'
import { playScenarios } from './scenarios.ts'

const program = await buildProgram({
  name: 'Go',
  folder: 'go',
  // Debian's fetches the version that go.mod asks for.
  packages: { go: 'golang-go' },
  build: (output) => ['go', 'build', '-o', output, './cmd/device'],
})
playScenarios('Go', program)
