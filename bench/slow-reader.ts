import { fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as v from 'valibot'
import type { Device, SpacedockNode } from '../src/index.ts'
import { createNode, defineStream } from '../src/index.ts'

/**
 * What a slow reader costs the one who sends: 1 GiB is offered to another process on this machine's loopback interface,
 * which takes 1 MB/s for a while and then what it can get. All of it at 1 MB/s would take 17 minutes and show nothing more:
 * buffers that are not bounded grow in the first seconds.
 *
 *     npm run bench:stream -- [--megabytes 1024] [--slow-seconds 20]
 *
 * Ends with 1 when the sender holds more than it may, its memory grows with what is offered, or a ping in the middle of the
 * slow part takes more than three times as long as before.
 */
const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '1024' },
    'slow-seconds': { type: 'string', default: '20' },
    reader: { type: 'boolean', default: false },
  },
})
const totalBytes = Number(values.megabytes) * 1024 * 1024
const slowMs = Number(values['slow-seconds']) * 1_000
if (!(totalBytes > 0) || !(slowMs >= 1_000))
  throw new RangeError('--megabytes and --slow-seconds want numbers from 1')

const slowBytesPerSecond = 1_000_000
const chunkBytes = 64 * 1024
/** A window of a reader that was held up for a moment and catches up, what waits in the stream and in its WritableStream, and the chunk that is one too many there. */
const capBytes = 1024 * 1024 + 64 * 1024 + 64 * 1024 + chunkBytes
/** Of resident memory; most of it is garbage that is not collected yet. */
const capGrowthMb = { slow: 64, all: 128 }
const capPingRatio = 3
const interfaces = [process.platform === 'darwin' ? 'lo0' : 'lo']

const bytes = defineStream({ name: 'bytes', version: 1, request: v.object({ slowMs: v.number() }) })

type Report = { ready: true } | { readBytes: number; isSlow: boolean }

if (values.reader) await runReader()
else await runSender()

async function runReader(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'slow-reader-'))
  const node = await createNode({ dataDir, name: 'reader', interfaces, mdns: false })
  process.once('disconnect', () => void node.close().then(() => rm(dataDir, { recursive: true })))
  node.handle(
    defineStream({
      ...bytes,
      handler: async (request, { readable }) => {
        const startedAt = performance.now()
        let readBytes = 0
        let isSlow = true
        const reporting = setInterval(() => report({ readBytes, isSlow }), 50)
        try {
          for await (const chunk of readable) {
            readBytes += chunk.byteLength
            if (!isSlow) continue
            const elapsedMs = performance.now() - startedAt
            isSlow = elapsedMs < request.slowMs
            const dueMs = (readBytes / slowBytesPerSecond) * 1_000
            if (isSlow && dueMs > elapsedMs) await pause(dueMs - elapsedMs)
          }
        } finally {
          clearInterval(reporting)
          report({ readBytes, isSlow })
        }
      },
    }),
  )
  const [words = '', address = ''] = JSON.parse(process.env['SLOW_READER_INVITATION'] ?? '[]') as string[]
  await node.join(words, { peers: [address] })
  report({ ready: true })
}

function report(told: Report): void {
  process.send?.(told)
}

async function runSender(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'slow-reader-'))
  const node = await createNode({ dataDir, name: 'sender', interfaces, mdns: false })
  const invitation = await node.pair()
  const reader = fork(import.meta.filename, ['--reader'], {
    env: {
      ...process.env,
      SLOW_READER_INVITATION: JSON.stringify([invitation.words, node.status().listen[0]]),
    },
  })
  const progress = { readBytes: 0, isSlow: true }
  reader.on('message', (told: Report) => void ('ready' in told || Object.assign(progress, told)))
  const device = await invitation.paired
  await connected(node, device)
  try {
    const isGood = await measure(device, progress)
    process.exitCode = isGood ? 0 : 1
  } finally {
    reader.disconnect()
    await node.close()
    await rm(dataDir, { recursive: true })
  }
}

async function measure(device: Device, progress: { readBytes: number; isSlow: boolean }): Promise<boolean> {
  const idle = await pings(device, performance.now() + 5_000)
  const rssBefore = process.memoryUsage().rss
  let offeredBytes = 0
  const slowUntil = performance.now() + slowMs
  const most = { bufferedBytes: 0, slowRss: rssBefore, rss: rssBefore }
  const sampling = setInterval(() => {
    most.rss = Math.max(most.rss, process.memoryUsage().rss)
    // What the reader says is up to 50 ms old, so this errs on the high side: by 50 kB, until it is no longer slow.
    if (performance.now() > slowUntil - 500) return
    most.slowRss = most.rss
    most.bufferedBytes = Math.max(most.bufferedBytes, offeredBytes - progress.readBytes)
  }, 5)

  const stream = await device.openStream(bytes, { slowMs })
  const startedAt = performance.now()
  const sending = (async () => {
    const writer = stream.writable.getWriter()
    while (offeredBytes < totalBytes) {
      await writer.ready
      offeredBytes += chunkBytes
      writer.write(new Uint8Array(chunkBytes)).catch(() => {})
    }
    await writer.close()
  })()
  // The middle half of the slow part.
  await pause(slowMs / 4)
  const middle = await pings(device, startedAt + slowMs * 0.75)
  while (progress.isSlow) await pause(10)
  const slowBytes = progress.readBytes
  const fastSince = performance.now()
  const busy = pings(device, fastSince + 60_000, sending)
  await sending
  await stream.closed
  const fastSeconds = (performance.now() - fastSince) / 1_000
  clearInterval(sampling)

  const growthMb = {
    slow: (most.slowRss - rssBefore) / 1024 / 1024,
    all: (most.rss - rssBefore) / 1024 / 1024,
  }
  const ratio = median(middle) / median(idle)
  const full = median(await busy)
  print('offered', `${totalBytes / 1024 / 1024} MiB`)
  print('read slowly', `${(slowBytes / 1e6).toFixed(1)} MB in ${slowMs / 1_000} s`)
  print('buffered, most', `${most.bufferedBytes} bytes, may be ${capBytes}`)
  print("sender's memory", `${growthMb.slow.toFixed(1)} MiB more at the most, may be ${capGrowthMb.slow}`)
  print('at full speed', `${growthMb.all.toFixed(1)} MiB more at the most, may be ${capGrowthMb.all}`)
  print('ping, idle', `${median(idle).toFixed(2)} ms (median of ${idle.length})`)
  print('ping, slow reader', `${median(middle).toFixed(2)} ms (median of ${middle.length})`)
  print('ratio', `${ratio.toFixed(2)}, may be ${capPingRatio}`)
  print(
    'then at full speed',
    `${((totalBytes - slowBytes) / 1e6 / fastSeconds).toFixed(0)} MB/s, ping ${full.toFixed(2)} ms`,
  )
  return (
    most.bufferedBytes <= capBytes &&
    growthMb.slow <= capGrowthMb.slow &&
    growthMb.all <= capGrowthMb.all &&
    ratio <= capPingRatio
  )
}

/** Round trips in milliseconds, 20 ms apart, until the time, or until the promise is settled. */
async function pings(device: Device, untilMs: number, until?: Promise<unknown>): Promise<number[]> {
  const all: number[] = []
  const ended = { yet: false }
  void until?.finally(() => (ended.yet = true))
  while (performance.now() < untilMs && !ended.yet) {
    all.push((await device.ping()).roundTripMs)
    await pause(20)
  }
  return all
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

async function connected(node: SpacedockNode, device: Device): Promise<void> {
  if (device.state === 'connected') return
  await new Promise<void>((resolve) => node.addEventListener('device:connected', () => resolve()))
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, durationMs))
}

function print(what: string, figure: string): void {
  console.log(`${what.padEnd(20)} ${figure}`)
}
