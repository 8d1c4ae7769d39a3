import assert from 'node:assert/strict'
import { withCommandHint } from '../../src/cli/command-hints.ts'
import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import type { Form, Outcome } from './situation.ts'

export interface Expected {
  code: string
  exitCode: number
  message: string
  hint: string
}

/** Compares how a situation ended, and what was said in this form, with its row. */
export function checkTold(outcome: Outcome, form: Form, expected: Expected): void {
  if (outcome.kind === 'library') {
    const { code, message, hint = '' } = withCommandHint(outcome.error)
    checkWording({ code, message, hint }, expected)
    assert.equal(exitCodeOf(code), expected.exitCode)
    return
  }
  const { code: exitCode, stdout, stderr } = outcome
  const lines = stderr.trimEnd().split('\n')
  assert.equal(exitCode, expected.exitCode, stderr)
  if (form === 'text') {
    assert.equal(stdout, '')
    assert.doesNotMatch(stderr, /^\s+at |Error:/mu)
    const [message = '', hint = ''] = lines.slice(-2)
    assert.ok(message.startsWith('spacedock: '), stderr)
    checkWording({ code: expected.code, message: message.slice('spacedock: '.length), hint }, expected)
    return
  }
  assert.doesNotMatch(stdout, /"event":"error"/u)
  const [{ event, ...told } = {}] = lines.map((line) => JSON.parse(line) as Record<string, unknown>).slice(-1)
  assert.equal(event, 'error', stderr)
  checkWording(told, expected)
}

/** `<...>` in the table stands for anything. */
function checkWording(told: Record<string, unknown>, { code, message, hint }: Expected): void {
  const shown = JSON.stringify(told, null, 2)
  assert.equal(told['code'], code, shown)
  assert.match(String(told['message']), withPlaceholders(message), shown)
  assert.match(String(told['hint']), withPlaceholders(hint), shown)
}

function withPlaceholders(text: string): RegExp {
  const pattern = text
    .split(/<[^>]+>/u)
    .map((literal) => literal.replaceAll(/[$()*+.?[\\\]^{|}]/gu, String.raw`\$&`))
  return new RegExp(`^${pattern.join('.+')}$`, 'u')
}
