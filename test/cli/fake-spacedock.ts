import { fileURLToPath } from 'node:url'
import { main } from '../../src/cli/main.ts'
import { createFakeNode } from '../daemon/fake-node.ts'

/** The command with a node that has no network, also as the daemon that it starts. */
process.exitCode = await main(process.argv.slice(2), {
  binPath: fileURLToPath(import.meta.url),
  loadNode: async () => ({ createNode: createFakeNode }),
})
