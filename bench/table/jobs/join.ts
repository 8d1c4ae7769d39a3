import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from '../command.ts'
import type { Job } from './job.ts'

/** `spacedock join --yes --peer ADDRESS -` from its start to its end, with a daemon that runs and with one that it has to start. */
export const joinByCommand: Job = {
  rows: ['join', 'join-cold'],
  subjects: ['spacedock-command'],
  run: async (_subject, { checkout }) => {
    const directory = mkdtempSync(join(tmpdir(), 'spacedock-bench-'))
    try {
      await using shower = new Command(checkout, join(directory, 'shower'))
      await using warm = new Command(checkout, join(directory, 'warm'))
      await using cold = new Command(checkout, join(directory, 'cold'))
      await shower.up()
      await warm.up()
      // Its settings are kept; the daemon is not.
      await cold.up()
      await cold.down()
      return { join: await joining(shower, warm), 'join-cold': await joining(shower, cold) }
    } finally {
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
    }
  },
}

async function joining(shower: Command, joiner: Command): Promise<number> {
  const address = await shower.address()
  const { words, paired } = await shower.pair()
  const startedAt = performance.now()
  await joiner.join(words, address)
  await paired
  return performance.now() - startedAt
}
