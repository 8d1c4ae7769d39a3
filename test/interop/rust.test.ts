import { buildProgram } from './foreign-program.ts'
import { playScenarios } from './scenarios.ts'

const program = await buildProgram({
  name: 'Rust',
  folder: 'rust',
  packages: { cargo: 'cargo' },
  // cargo names no file, but the folder of all that it builds.
  build: (output) => ['cargo', 'build', '--locked', '--target-dir', `${output}-target`],
  executable: (output) => `${output}-target/debug/device`,
})
playScenarios('Rust', program, ['pairing'])
