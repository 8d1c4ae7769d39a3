import type { Confirmation } from '../daemon/daemon-api.ts'
import { printableLine } from '../daemon/printable.ts'
import { SpacedockError } from '../errors.ts'
import { groupDigits } from './code-screen.ts'
import type { CommandContext, OptionTable } from './command.ts'

export const confirmationOptions: OptionTable = {
  yes: { type: 'boolean', short: 'y', what: 'do not ask: the code alone decides' },
  'confirm-on-stdin': {
    type: 'boolean',
    what: 'with --json: ask with a "confirm" line on standard output, read "yes" or "no" from standard input',
  },
}

export interface Confirming {
  /** Whether the daemon is to ask at all. */
  ask: boolean
  onAsk: (question: Confirmation, options: { signal: AbortSignal }) => Promise<boolean>
}

/**
 * Chooses the judge of whether the other device is the right one. Throws `invalid-argument` when there is nobody: that is to be
 * known before a code is shown or used.
 */
export function chooseConfirming({ options, output, person, signal }: CommandContext): Confirming {
  if (options.flag('yes')) return { ask: false, onAsk: async () => false }

  if (options.flag('confirm-on-stdin')) {
    if (!output.json || options.flag('no-input')) {
      throw new SpacedockError(
        'invalid-argument',
        'The option --confirm-on-stdin goes with --json and without --no-input.',
        { hint: 'Add --json and leave out --no-input.' },
      )
    }
    const onAsk: Confirming['onAsk'] = async ({ name, digits, deviceId }, question) => {
      output.result({ event: 'confirm', name, digits, id: deviceId }, '')
      const answer = await person.nextLine({ signal: AbortSignal.any([signal, question.signal]) })
      return answer?.trim().toLowerCase() === 'yes'
    }
    return { ask: true, onAsk }
  }

  if (!person.canAnswer) {
    throw new SpacedockError(
      'invalid-argument',
      'This asks whether it is the right device, and nobody is there to answer.',
      {
        hint: 'Run it in a terminal, or say --yes to let the code alone decide.',
      },
    )
  }
  const onAsk: Confirming['onAsk'] = ({ name, digits }, question) =>
    person.confirm(confirmationQuestion(name, digits), { signal: AbortSignal.any([signal, question.signal]) })
  return { ask: true, onAsk }
}

/** Question to the person. The name is the other device's own choice: it is made printable, and proves nothing. The digits do. */
export function confirmationQuestion(name: string, digits: string): string {
  return `Pair with "${printableLine(name)}"? Do both screens show ${groupDigits(digits)}?`
}
