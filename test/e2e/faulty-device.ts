import { enableCompileCache } from 'node:module'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { NodeOptions, SpacedockNode } from '../../src/api.ts'

/**
 * The `spacedock` command, in whose daemon things go wrong that nobody catches: each line on standard input is thrown as an
 * exception, or rejected when it begins with "reject". With FAULT_AT_START, that is what happens while the node is made.
 */
enableCompileCache()
const { main } = await import('../../src/cli/main.ts')
const binPath = fileURLToPath(import.meta.url)
const faultAtStart = process.env['FAULT_AT_START']

function goWrong(line: string): void {
  if (line.startsWith('reject')) void Promise.reject(new TypeError(line))
  else
    setImmediate(() => {
      throw new Error(line)
    })
}

async function createNode(options: NodeOptions): Promise<SpacedockNode> {
  if (faultAtStart !== undefined) {
    goWrong(faultAtStart)
    return new Promise(() => {})
  }
  const { createNode: real } = await import('../../src/node.ts')
  return real(options)
}

if (process.argv.includes('--foreground')) createInterface({ input: process.stdin }).on('line', goWrong)
process.exitCode = await main(process.argv.slice(2), { binPath, loadNode: async () => ({ createNode }) })
