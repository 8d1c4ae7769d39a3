import { printableLine } from '../../daemon/printable.ts'
import { SpacedockError } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { chooseConfirming, confirmationOptions } from '../confirmation.ts'
import { exitCodes } from '../exit-codes.ts'
import { showProgress } from '../pairing-progress.ts'
import { brief } from './devices.ts'

/** Longest code read: far more than twelve words or a URI with addresses. */
const longestCodeBytes = 64 * 1024

const otherWay = 'Give an address of the other device with --peer: "spacedock status" shows them there.'

export const join: Command = {
  name: 'join',
  summary: 'pair with a device that shows twelve words',
  usage: ['[--peer MULTIADDR]... [--timeout SECONDS] [--yes]', '-', 'WORDS...'],
  options: {
    ...confirmationOptions,
    peer: {
      type: 'string',
      value: 'MULTIADDR',
      multiple: true,
      what: 'ask at this address too; ends in /p2p/PEERID',
    },
    timeout: { type: 'string', value: 'SECONDS', what: 'how long to look for the other device (300)' },
  },
  positionals: { least: 0, most: 64 },
  startsDaemon: true,
  notes: [
    'Asks for the words; four letters of each are enough. It may be started before or after "pair": it looks until\nit finds the other device. "-" reads the words from standard input. Words that are arguments can be seen by\nother users of this machine while the command runs.',
  ],
  examples: [
    { line: 'join', what: 'asks for the words' },
    { line: 'join --timeout 60', what: 'gives up after a minute' },
    { line: 'join - --yes < words.txt', what: 'from a script' },
  ],
  run: async (context) => {
    const { options, daemon, output } = context
    const timeoutSeconds = options.wholeNumber('timeout', 1, 86_400)
    const { whom, onAsk } = chooseConfirming(context, 'join')
    const code = await readCode(context)

    const timeout = timeoutSeconds === undefined ? {} : { timeoutMs: timeoutSeconds * 1000 }
    const { device } = await daemon.call(
      'join',
      { code, peers: options.list('peer'), ask: whom !== 'nobody', ...timeout },
      {
        onEvent: (event) => {
          output.status('')
          showProgress(event, output, { asked: whom, otherWay, place: 'join' })
          if (event.kind === 'source') output.status('Looking for the other device ... Ctrl-C ends it.')
        },
        onAsk,
      },
    )
    output.status('')
    output.result({ event: 'paired', device: brief(device) }, `Paired with "${printableLine(device.name)}".`)
    const { hintAtNamesake } = await import('../namesake.ts')
    await hintAtNamesake(context, device)
    return exitCodes.ok
  },
}

/** Reads the words, and checks them before anybody is asked anything (threat 17). */
async function readCode(context: CommandContext): Promise<string> {
  const { positionals, options, person, output, signal } = context
  if (positionals.length > 0 && !(positionals.length === 1 && positionals[0] === '-')) {
    output.progress(
      { event: 'visible' },
      'Other users of this machine can see words that are arguments; "spacedock join" alone asks for them.',
    )
    return checked(positionals.join(' '))
  }
  if (positionals.length === 1 && !person.canAnswer) {
    if (!options.flag('confirm-on-stdin'))
      return checked(await person.readAll({ signal, capBytes: longestCodeBytes }))
    return checked((await person.nextLine({ signal })) ?? '')
  }
  if (!person.canAnswer) {
    throw new SpacedockError('invalid-argument', 'The words are missing, and nobody is there to type them.', {
      hint: 'Give them on standard input: "spacedock join -" reads them there.',
    })
  }
  return askForCode(context)
}

async function askForCode({ person, output, signal }: CommandContext): Promise<string> {
  for (;;) {
    const typed = await person.ask('The twelve words: ', { signal })
    if (typed === null)
      throw new SpacedockError('cancelled', 'No words were typed.', {
        hint: 'Run "spacedock join" again when you have them.',
      })
    const problem = await problemOf(typed)
    if (problem === null) return typed
    output.progress({ event: 'invalid-code' }, printableLine(`${problem.message} ${problem.hint}`))
  }
}

async function checked(code: string): Promise<string> {
  const problem = await problemOf(code)
  if (problem === null) return code
  throw new SpacedockError('invalid-code', problem.message, { hint: problem.hint })
}

/** Problem of the words; null when they are a pairing code, by themselves or in a `spacedock:` URI. */
async function problemOf(text: string): Promise<{ message: string; hint: string } | null> {
  const { parseInvitationText } = await import('../../pairing/pairing-uri.ts')
  const { code } = parseInvitationText(text)
  return code.ok ? null : code
}
