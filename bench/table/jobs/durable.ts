import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { DeviceOrder } from '../device.ts'
import { Program } from '../program.ts'
import { quantile } from '../statistics.ts'
import type { Job, Setting } from './job.ts'

/** Messages that are durable at both ends, beside what the same disk does. */
export const durable: Job = {
  rows: ['durable'],
  subjects: ['fsync', 'disk-alone', 'spacedock-send'],
  run: async (subject, setting) => {
    const { durableMessages } = setting.sizes
    if (subject === 'spacedock-send') return { durable: await send(setting) }
    const directory = mkdtempSync(join(tmpdir(), 'spacedock-bench-'))
    try {
      return { durable: (subject === 'fsync' ? fsyncs : commits)(directory, durableMessages) }
    } finally {
      rmSync(directory, { recursive: true })
    }
  },
}

async function send(setting: Setting): Promise<number> {
  const receiver = await Program.start<DeviceOrder>('device.ts', [], setting)
  const sender = await Program.start<DeviceOrder>('device.ts', [], setting)
  try {
    await receiver.order({ do: 'start' })
    await sender.order({ do: 'start' })
    await sender.order({ do: 'join', address: await receiver.order<string>({ do: 'invite' }) })
    return await sender.order<number>({ do: 'send', count: setting.sizes.durableMessages })
  } finally {
    await sender.stop()
    await receiver.stop()
  }
}

/** 4 KiB at the end of a file, and fsync. */
function fsyncs(directory: string, count: number): number {
  const file = openSync(join(directory, 'file'), 'w')
  try {
    return median(count, () => {
      writeSync(file, new Uint8Array(4_096))
      fsyncSync(file)
    })
  } finally {
    closeSync(file)
  }
}

/** What a message needs at least: written to one database, to a second one, and deleted from the first. */
function commits(directory: string, count: number): number {
  const [outbox, inbox] = ['outbox', 'inbox'].map((name) => {
    const database = new DatabaseSync(join(directory, `${name}.db`))
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    database.exec('CREATE TABLE messages (sequence INTEGER PRIMARY KEY, id TEXT UNIQUE, body BLOB)')
    return database
  }) as [DatabaseSync, DatabaseSync]
  const insertions = [outbox, inbox].map((each) =>
    each.prepare('INSERT INTO messages (id, body) VALUES (?, ?)'),
  )
  const removal = outbox.prepare('DELETE FROM messages WHERE id = ?')
  try {
    return median(count, (number) => {
      for (const insertion of insertions) insertion.run(`id-${number}`, Buffer.from(`note ${number}`))
      removal.run(`id-${number}`)
    })
  } finally {
    outbox.close()
    inbox.close()
  }
}

/** Milliseconds. */
function median(count: number, work: (number: number) => void): number {
  const times: number[] = []
  for (let number = 0; number < count; number++) {
    const startedAt = performance.now()
    work(number)
    times.push(performance.now() - startedAt)
  }
  return quantile(times, 0.5)
}
