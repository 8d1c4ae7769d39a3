import { test } from 'node:test'
import { buildProgram, runInFolder } from './foreign-program.ts'
import { playScenarios } from './scenarios.ts'

let targetDir = ''
const program = await buildProgram({
  name: 'Rust',
  folder: 'rust',
  packages: { cargo: 'cargo' },
  // The rust-version of Cargo.toml.
  compiler: { command: ['cargo', '--version'], atLeast: [1, 89] },
  // cargo names no file, but the folder of all that it builds.
  build: (output) => {
    targetDir = `${output}-target`
    return ['cargo', 'build', '--locked', '--target-dir', targetDir]
  },
  executable: () => `${targetDir}/debug/device`,
})
const skip = typeof program === 'string' ? program : false

test('Rust computes the test vectors, and its own tests pass', { skip }, async () => {
  await runInFolder('rust', ['cargo', 'test', '--locked', '--target-dir', targetDir])
})

playScenarios('Rust', program, {
  'rendezvous node':
    'It is a device only: the DHT and the relay of a rendezvous node are libp2p’s, and the one in Go tests them.',
})
