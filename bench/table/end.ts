import type { Asker, Client, Subject } from './subjects/subject.ts'
import { peakMemoryMib } from './memory.ts'
import { obey } from './obey.ts'
import { quantile } from './statistics.ts'

/** One end of a subject in a process of its own: does what the benchmark orders, one order at a time, until that goes. */

export type Order =
  | { do: 'serve' }
  | { do: 'connect'; address: string }
  /** Microseconds, the median of round trips one after the other. */
  | { do: 'round-trips'; bytes: number; seconds: number }
  /** Answers a second, with as many messages always unanswered. */
  | { do: 'in-flight'; bytes: number; seconds: number; count: number }
  /** MB/s. */
  | { do: 'pour'; bytes: number }
  /** MB/s that arrive, without what comes first. */
  | { do: 'flow'; seconds: number }
  /** Milliseconds from the wish for a stream to the first answer in it, the median. */
  | { do: 'first-answers'; count: number }
  | { do: 'usage' }

export interface Usage {
  /** Of user and system, since the process began. */
  cpuSeconds: number
  peakMemoryMib: number
}

/** Time in which code is compiled and windows grow, as a share of the measured one. */
const warmUpShare = 0.4
const firstBytes = 32

const subject = ((await import(`./subjects/${process.argv[2]}.ts`)) as { default: Subject }).default
let client: Client | null = null
const askers = new Map<number, Promise<Asker>>()

obey(carryOut)

async function carryOut(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'serve':
      return subject.serve()
    case 'connect':
      client = await subject.connect(order.address)
      return null
    case 'round-trips':
      await roundTrips(await asker(order.bytes), order.seconds * warmUpShare)
      return roundTrips(await asker(order.bytes), order.seconds)
    case 'in-flight':
      await inFlight(await asker(order.bytes), order.count, order.seconds * warmUpShare)
      return inFlight(await asker(order.bytes), order.count, order.seconds)
    case 'pour': {
      const to = connected()
      if (to.pour === undefined) throw new Error('it carries only messages')
      const startedAt = performance.now()
      await to.pour(order.bytes)
      return order.bytes / 1_000 / (performance.now() - startedAt)
    }
    case 'flow':
      return flow(connected(), order.seconds)
    case 'first-answers': {
      const times: number[] = []
      for (let number = 0; number < order.count; number++) times.push(await firstAnswer(connected()))
      return quantile(times, 0.5)
    }
    case 'usage': {
      const { userCPUTime, systemCPUTime } = process.resourceUsage()
      return {
        cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
        peakMemoryMib: peakMemoryMib(),
      } satisfies Usage
    }
  }
}

function connected(): Client {
  if (client === null) throw new Error('not connected')
  return client
}

async function asker(bytes: number): Promise<Asker> {
  const made = askers.get(bytes) ?? connected().messages(bytes)
  askers.set(bytes, made)
  return made
}

async function flow(to: Client, seconds: number): Promise<number> {
  if (to.flow === undefined) throw new Error('it carries only messages')
  const startedAt = performance.now()
  let arrivedBytes = 0
  let first: { atMs: number; bytes: number } | null = null
  let last = { atMs: 0, bytes: 0 }
  // It never ends, or breaks.
  const flowing = to.flow((bytes) => {
    arrivedBytes += bytes
    last = { atMs: performance.now(), bytes: arrivedBytes }
    if (last.atMs - startedAt > seconds * 1_000 * warmUpShare) first ??= last
  })
  const end = new Promise((resolve) => setTimeout(resolve, seconds * 1_000 * (1 + warmUpShare)))
  await Promise.race([flowing, end])
  const from = first ?? { atMs: startedAt, bytes: 0 }
  if (last.atMs <= from.atMs) throw new Error('hardly anything arrived')
  return (last.bytes - from.bytes) / 1_000 / (last.atMs - from.atMs)
}

async function firstAnswer(to: Client): Promise<number> {
  const startedAt = performance.now()
  const opened = await to.messages(firstBytes)
  await new Promise<void>((resolve) => opened.ask(resolve))
  return performance.now() - startedAt
}

function roundTrips(asker: Asker, seconds: number): Promise<number> {
  const endsAt = performance.now() + seconds * 1_000
  const times: number[] = []
  return new Promise((resolve) => {
    const next = (): void => {
      const startedAt = performance.now()
      asker.ask(() => {
        const now = performance.now()
        times.push(now - startedAt)
        if (now < endsAt) next()
        else resolve(quantile(times, 0.5) * 1_000)
      })
    }
    next()
  })
}

function inFlight(asker: Asker, count: number, seconds: number): Promise<number> {
  const startedAt = performance.now()
  const endsAt = startedAt + seconds * 1_000
  let answers = 0
  let unanswered = 0
  return new Promise((resolve) => {
    const ask = (): void => {
      unanswered++
      asker.ask(() => {
        unanswered--
        answers++
        const now = performance.now()
        if (now < endsAt) ask()
        else if (unanswered === 0) resolve((answers * 1_000) / (now - startedAt))
      })
    }
    for (let number = 0; number < count; number++) ask()
  })
}
