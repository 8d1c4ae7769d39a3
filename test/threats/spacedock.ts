import { fileURLToPath } from 'node:url'
import { main } from '../../src/cli/main.ts'

/** The command from its source, also as the daemon that it starts: a control can take something out of it. */
process.exitCode = await main(process.argv.slice(2), { binPath: fileURLToPath(import.meta.url) })
