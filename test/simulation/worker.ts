import { createSimulation } from '../../src/testing/index.ts'
import { stories, type StoryName } from './stories.ts'

/** What a worker says of each seed to the process that started it. */
export type SeedResult =
  | { kind: 'passed'; seed: number; report: Record<string, number> }
  | { kind: 'failed'; seed: number; why: string }

/** Arguments: the kind of story, the first seed, the last, the step between them. */
const { tell, optionsOf } = stories[process.argv[2] as StoryName]
const [first = 1, last = 1, step = 1] = process.argv.slice(3).map(Number)
let seed = first
const say = (result: SeedResult): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined) console.log(JSON.stringify(result))
    if (process.send === undefined) resolve()
    else process.send(result, () => resolve())
  })
const fail = (error: unknown): Promise<void> =>
  say({ kind: 'failed', seed, why: error instanceof Error ? (error.stack ?? error.message) : String(error) })
// Whatever goes wrong in this process belongs to the seed that runs.
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => void failAndEnd(error))
}

const log = process.env['SPACEDOCK_TEST_LOG'] === undefined ? undefined : logLine
for (; seed <= last; seed += step) {
  try {
    await using simulation = createSimulation({
      ...optionsOf(seed),
      seed,
      ...(log === undefined ? {} : { log }),
    })
    await say({ kind: 'passed', seed, report: await tell(simulation) })
  } catch (error) {
    await fail(error)
  }
}
process.disconnect?.()

async function failAndEnd(error: unknown): Promise<void> {
  await fail(error)
  process.exit(1)
}

function logLine(line: object): void {
  process.stderr.write(`${JSON.stringify(line)}\n`)
}
