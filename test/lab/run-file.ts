import { run } from 'node:test'

/** How one test ended, for a table. */
export interface Row {
  title: string
  result: 'passed' | 'FAILED' | 'skipped'
  seconds: number
  /** What the test reported while it ran. */
  seen: string[]
  error: string
}

/** Runs a file of tests in a process of its own; says on standard error how each ended, as soon as it has. */
export async function runFile(file: string): Promise<Row[]> {
  const rows: Row[] = []
  const output: string[] = []
  const stream = run({ files: [file], execArgv: ['--disable-warning=ExperimentalWarning'] })
  stream.on('test:pass', ({ name: title, skip, details }) => {
    if (details.type === 'suite') return
    const result = skip === undefined ? 'passed' : 'skipped'
    rows.push({ title, result, seconds: details.duration_ms / 1000, seen: [], error: '' })
    console.error(`ok      ${title}`)
  })
  stream.on('test:fail', ({ name: title, details }) => {
    const { error, type, duration_ms: ms } = details
    // A suite fails because of what is in it, unless nothing in it ran.
    if (type === 'suite' && rows.some(({ result }) => result === 'FAILED')) return
    const cause = error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : String(error)
    const text = [...output.splice(0), cause].join('\n')
    rows.push({ title, result: 'FAILED', seconds: ms / 1000, seen: [], error: text })
    console.error(`FAILED  ${title}\n${text}`)
  })
  // What a test reports comes right after how it ended.
  stream.on('test:diagnostic', ({ message, nesting }) => {
    if (nesting > 0 || !/^[a-z_]+ [\d.]+$/u.test(message)) rows.at(-1)?.seen.push(message)
  })
  stream.on('test:stderr', ({ message }) => output.push(message.trimEnd()))
  await new Promise((resolve, reject) => {
    stream.once('end', resolve)
    stream.once('error', reject)
    stream.resume()
  })
  return rows
}
