import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { atExit } from '../lab/at-exit.ts'
import type { Patch, Threat, Verdict } from './threat.ts'
import type { Listed } from './threats.ts'

export interface Judgement {
  threat: Threat
  outcome: 'passed' | 'failed'
  attack: { text: string }
  without: { what: string; text: string }[]
}

/** Runs a threat's attack, then once for each defence that is taken away, every time in a process of its own. */
export async function judge(listed: Listed): Promise<Judgement> {
  const { threat } = listed
  const attack = await runScenario(listed, null)
  const without: Judgement['without'] = []
  let passed = attack.kind === 'verdict' && attack.verdict.withstood
  for (const [index, { what, patches = [] }] of threat.without.entries()) {
    const result = await runScenario(listed, { index, patches })
    // A control that breaks down has shown nothing.
    passed &&= result.kind === 'verdict' && !result.verdict.withstood
    without.push({ what, text: describe(result) })
  }
  if (threat.without.length === 0) passed = false
  return { threat, outcome: passed ? 'passed' : 'failed', attack: { text: describe(attack) }, without }
}

type Result = ({ kind: 'verdict'; verdict: Verdict } | { kind: 'broke'; why: string }) & { tookMs?: number }

function describe(result: Result): string {
  if (result.kind === 'broke') return `BROKE DOWN: ${result.why}`
  const took = `${((result.tookMs ?? 0) / 1000).toFixed(1)} s`
  return `${result.verdict.withstood ? 'fails' : 'succeeds'} (${result.verdict.seen}), ${took}`
}

const scenario = fileURLToPath(new URL('scenario.ts', import.meta.url))
const patchedSource = new URL('patched-source.ts', import.meta.url).href
/** For a machine that has much else to do; a verdict takes seconds. */
const deadlineMs = 300_000

function runScenario(
  { group, index }: Listed,
  control: { index: number; patches: readonly Patch[] } | null,
): Promise<Result> {
  const args = [group, String(index), ...(control === null ? [] : [String(control.index)])]
  // Through the environment, so that the daemons that an attack starts are without the defence too.
  const env = {
    ...process.env,
    NODE_OPTIONS: `--disable-warning=ExperimentalWarning${control === null ? '' : ` --import=${patchedSource}`}`,
    SPACEDOCK_TEST_PATCHES: JSON.stringify(control?.patches ?? []),
  }
  const child = spawn(process.execPath, ['--expose-gc', scenario, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const forget = atExit(() => child.kill('SIGKILL'))
  return new Promise((resolve) => {
    let result: Result | undefined
    let output = ''
    const startedAt = performance.now()
    const timer = setTimeout(() => {
      result = { kind: 'broke', why: `not finished after ${deadlineMs / 1000} s` }
      child.kill('SIGKILL')
    }, deadlineMs)
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.on('message', (message) => (result = message as Result))
    child.on('exit', () => {
      if (result !== undefined) result.tookMs = performance.now() - startedAt
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      forget()
      resolve(result ?? { kind: 'broke', why: `ended with ${code ?? signal}: ${output.slice(-2_000)}` })
    })
  })
}
