import type { Confirmation } from '../daemon/daemon-api.ts'
import { printableLine } from '../daemon/printable.ts'
import { SpacedockError } from '../errors.ts'
import { groupDigits } from './code-screen.ts'
import type { CommandContext, OptionTable } from './command.ts'

export const confirmationOptions: OptionTable = {
  yes: {
    type: 'boolean',
    short: 'y',
    what: 'do not compare digits: whoever has the words is paired, also a thief of them',
  },
  'confirm-on-stdin': {
    type: 'boolean',
    what: 'with --json: ask with a "confirm" line on standard output, read "yes" or "no" from standard input',
  },
}

/** Judge of whether the other device is the right one. */
export interface Confirming {
  /** Who is asked; with nobody the daemon does not ask at all. */
  whom: 'nobody' | 'person' | 'program'
  onAsk: (question: Confirmation, options: { signal: AbortSignal }) => Promise<boolean>
  /** Error of a pairing that was declined here because of its digits; any other error stays as it is. */
  explain: (error: unknown) => unknown
}

type Question = Confirmation & { signal: AbortSignal }

/**
 * Chooses the judge. At the device that shows the words, a person types the digits of the other screen; at the other one, a person
 * says yes to them. Throws `invalid-argument` when there is nobody: that is to be known before a code is shown or used.
 */
export function chooseConfirming(context: CommandContext, place: 'pair' | 'join'): Confirming {
  const { options, person, signal } = context
  const judgedBy = (
    whom: Confirming['whom'],
    judge: (question: Question) => Promise<boolean>,
  ): Confirming => ({
    whom,
    onAsk: (question, { signal: withdrawn }) =>
      judge({ ...question, signal: AbortSignal.any([signal, withdrawn]) }),
    explain: (error) => error,
  })
  if (options.flag('yes') && options.flag('confirm-on-stdin')) {
    throw new SpacedockError(
      'invalid-argument',
      'The options --yes and --confirm-on-stdin contradict each other.',
      {
        hint: 'Leave one of them out: --yes asks nobody.',
      },
    )
  }
  if (options.flag('yes')) return judgedBy('nobody', async () => false)
  if (options.flag('confirm-on-stdin')) {
    checkProgram(context)
    return judgedBy('program', (question) => askProgram(question, context))
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
  if (place === 'join')
    return judgedBy('person', ({ name, digits, signal: either }) =>
      person.confirm(confirmationQuestion(name, digits), { signal: either }),
    )
  let entry: Entry = 'none'
  return {
    ...judgedBy('person', async (question) => {
      entry = await enterDigits(question, context)
      return entry === 'right'
    }),
    explain: (error) => (entry === 'wrong' && isDeclined(error) ? otherDigits() : error),
  }
}

function checkProgram({ options, output }: CommandContext): void {
  if (output.json && !options.flag('no-input')) return
  throw new SpacedockError(
    'invalid-argument',
    'The option --confirm-on-stdin goes with --json and without --no-input.',
    { hint: 'Add --json and leave out --no-input.' },
  )
}

async function askProgram(
  { name, digits, deviceId, signal }: Question,
  { output, person }: CommandContext,
): Promise<boolean> {
  await person.discardTypeahead({ signal })
  output.result({ event: 'confirm', name, digits, id: deviceId }, '')
  const answer = await person.nextLine({ signal })
  return answer?.trim().toLowerCase() === 'yes'
}

type Entry = 'none' | 'right' | 'wrong'

/** Entries in which the right digits have to come: one for a misunderstanding, one for a slip, one for a second look. */
const mostEntries = 3

/**
 * Has the digits of the other screen typed; this one does not show them, so that nobody can copy them from here. A wrong entry
 * is told to be wrong, and not where: with three tries in a million, there is nothing to be guessed.
 */
async function enterDigits(
  { name, digits, signal }: Question,
  { output, person }: CommandContext,
): Promise<Entry> {
  const { compareDigits } = await import('../pairing/typed-digits.ts')
  await person.discardTypeahead({ signal })
  let hasDiffered = false
  for (let entries = 1; entries <= mostEntries; entries++) {
    const typed = await person.ask(digitsQuestion(name), { signal })
    if (typed === null || /^\s*no?\s*$/iu.test(typed)) return 'none'
    const verdict = compareDigits(digits, typed)
    if (verdict === 'same') {
      output.question({ event: 'same-digits' }, `Right: both screens show ${groupDigits(digits)}.`)
      return 'right'
    }
    hasDiffered ||= verdict === 'other'
    if (entries === mostEntries) break
    output.question(
      { event: 'other-digits' },
      verdict === 'other'
        ? 'These are not the digits of this pairing. Look at the other screen again.'
        : 'The other device shows six digits: type those. "n" ends the pairing.',
    )
  }
  return hasDiffered ? 'wrong' : 'none'
}

function isDeclined(error: unknown): boolean {
  return error instanceof SpacedockError && error.code === 'declined'
}

function otherDigits(): SpacedockError {
  return new SpacedockError('declined', 'The digits that were typed are not those of this pairing.', {
    hint: 'If the other screen does show them, somebody is in between: say no there, too. "spacedock pair" shows a new code.',
  })
}

/** Question to the person who shows the words. The name is the other device's own choice: it proves nothing. The digits do. */
export function digitsQuestion(name: string): string {
  return `Pair with "${printableLine(name)}"? Type the six digits on its screen: `
}

/** Question to the person who has typed the words. */
export function confirmationQuestion(name: string, digits: string): string {
  return `Pair with "${printableLine(name)}"? Do both screens show ${groupDigits(digits)}?`
}
