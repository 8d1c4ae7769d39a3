import type { Message, QueuedMessage } from '../../api.ts'
import { messageCapBytes } from '../../daemon/daemon-api.ts'
import { printableLine, printableText } from '../../daemon/printable.ts'
import { SpacedockError } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { localTime } from '../device-table.ts'
import { parseDuration } from '../durations.ts'
import { exitCodes } from '../exit-codes.ts'

export const send: Command = {
  name: 'send',
  summary: 'send a message to a device',
  usage: ['DEVICE TEXT [--expires TIME]', 'DEVICE -'],
  options: {
    'as-json': { type: 'boolean', what: 'the text is a JSON value, and arrives as one' },
    expires: { type: 'string', value: 'TIME', what: 'how long it may wait for the device, such as 2h or 3d' },
  },
  positionals: { least: 2, most: 2 },
  startsDaemon: true,
  notes: [
    'Says "delivered" when the other device has stored it. While that device is offline the message is kept here\nand goes out when it is back: then it says "queued", which is no failure.',
    'A message has at most 256 KiB. One that waits for longer than a year, or than --expires says (s, min, h, d, w or\n"never"), is not sent any more; "outbox" shows it.',
  ],
  examples: [
    { line: 'send phone "on my way"', what: '' },
    { line: 'send phone -- --not-an-option', what: 'a text that begins with a dash' },
    { line: 'send phone "dinner is ready" --expires 1h', what: 'not when it comes too late' },
    { line: 'send phone - < notes.txt', what: 'the text from standard input' },
    { line: `send phone --as-json '{"lamp":"on"}'`, what: '' },
  ],
  run: async (context) => {
    const { positionals, daemon, output } = context
    const [device = ''] = positionals
    const lifetime = givenLifetime(context)
    const content = await readContent(context)
    const { id, status } = await daemon.call('send', { device, content, ...lifetime })
    const text =
      status === 'delivered' ? 'Delivered.' : 'Queued: it goes out as soon as the device can take it.'
    output.result({ event: status, id }, text)
    return exitCodes.ok
  },
}

export const inbox: Command = {
  name: 'inbox',
  summary: 'show the messages that have arrived',
  usage: ['[--follow] [--after N]', '--clear'],
  options: {
    follow: { type: 'boolean', what: 'and those that arrive from now on, until Ctrl-C' },
    after: { type: 'string', value: 'N', what: 'only those with a sequence number above N' },
    clear: { type: 'boolean', what: 'take them all out; their senders do not send them again' },
  },
  positionals: { least: 0, most: 0 },
  startsDaemon: true,
  notes: [
    'They stay until they are taken out. The inbox holds 10,000, unless the configuration says otherwise, and each device\nhas a share of it: what does not fit waits with its sender.',
  ],
  examples: [
    { line: 'inbox', what: 'everything' },
    { line: 'inbox --follow --json', what: 'one message a line, for programs' },
  ],
  run: async ({ options, daemon, output }) => {
    if (options.flag('clear')) return clearInbox({ options, daemon, output })
    const after = options.wholeNumber('after', 0, Number.MAX_SAFE_INTEGER)
    const params = { follow: options.flag('follow'), ...(after === undefined ? {} : { after }) }
    let count = 0
    await sayWhatIsFull({ daemon, output })
    await daemon.call('inbox', params, {
      onEvent: (message) => {
        count++
        output.result(inboxLine(message), messageText(message, message.from.name))
      },
    })
    if (count === 0 && !options.flag('json')) output.progress({ event: 'none' }, 'No messages.')
    return exitCodes.ok
  },
}

export const outbox: Command = {
  name: 'outbox',
  summary: 'show the messages that wait for their device, and those that have expired',
  usage: [''],
  options: {},
  positionals: { least: 0, most: 0 },
  startsDaemon: true,
  examples: [],
  run: async ({ options, daemon, output }) => {
    let count = 0
    await daemon.call(
      'outbox',
      {},
      {
        onEvent: (message) => {
          count++
          output.result(outboxLine(message), outboxText(message))
        },
      },
    )
    if (count === 0 && !options.flag('json')) output.progress({ event: 'none' }, 'Nothing waits.')
    return exitCodes.ok
  },
}

/** Says what cannot arrive, which the list of what has does not show. */
async function sayWhatIsFull({ daemon, output }: Pick<CommandContext, 'daemon' | 'output'>): Promise<void> {
  const { inbox: found } = await daemon.call('status', {})
  for (const { id, name } of found?.fullFor ?? []) {
    const text = `The inbox has no room for more of "${name}": its messages wait there. "inbox --clear" makes room.`
    output.progress({ event: 'full', from: { id, name } }, text)
  }
}

async function clearInbox({
  options,
  daemon,
  output,
}: Pick<CommandContext, 'options' | 'daemon' | 'output'>): Promise<number> {
  if (options.flag('follow') || options.text('after') !== undefined) {
    throw new SpacedockError('invalid-argument', 'The option --clear goes without --follow and --after.', {
      hint: 'Look at the messages first, then clear them.',
    })
  }
  const { removed } = await daemon.call('clearInbox', {})
  output.result(
    { event: 'cleared', removed },
    removed === 1 ? '1 message removed.' : `${removed} messages removed.`,
  )
  return exitCodes.ok
}

function givenLifetime({ options }: CommandContext): { expiresInMs?: number | null } {
  const text = options.text('expires')
  if (text === undefined) return {}
  if (text === 'never') return { expiresInMs: null }
  const expiresInMs = parseDuration(text)
  if (expiresInMs !== null) return { expiresInMs }
  throw new SpacedockError('invalid-argument', `The value "${text}" does not fit --expires.`, {
    hint: 'Give a number with s, min, h, d or w, such as 2h, or "never".',
  })
}

async function readContent({
  options,
  positionals,
  person,
  signal,
}: CommandContext): Promise<{ text: string } | { json: unknown }> {
  const [, given = ''] = positionals
  const text = given === '-' ? await person.readAll({ signal, capBytes: messageCapBytes }) : given
  if (!options.flag('as-json')) return { text }
  try {
    return { json: JSON.parse(text) }
  } catch (cause) {
    throw new SpacedockError('invalid-argument', 'The text is not valid JSON.', {
      hint: 'Leave out --as-json to send it as text.',
      cause,
    })
  }
}

function inboxLine({ id, from, at, sequence, ...content }: Message): object {
  return { id, from: { id: from.id, name: from.name }, ...contentOf(content), at, sequence }
}

function outboxLine({ id, to, at, state, waitsFor, expiresAt, ...content }: QueuedMessage): object {
  return { id, to: { id: to.id, name: to.name }, ...contentOf(content), at, state, waitsFor, expiresAt }
}

function outboxText(message: QueuedMessage): string {
  const { state, waitsFor, expiresAt, to } = message
  const end = expiresAt === null ? '' : localTime(expiresAt)
  const note = state === 'expired' ? `, expired ${end}` : end === '' ? '' : `, until ${end}`
  return messageText(message, `to ${to.name}${note}${waitsFor === null ? '' : reasons[waitsFor]}`)
}

/** Reasons for the wait, in words; that the device is away goes without saying. */
const reasons: Record<NonNullable<QueuedMessage['waitsFor']>, string> = {
  device: '',
  'better-path': ', waits for a direct connection (too large for the relay)',
  'update-here': ', waits for an update of Spacedock on this device',
  'update-there': ', waits for an update of Spacedock there',
  'inbox-full': ', waits for room in the inbox there',
  'one-copy': ', waits until only one machine has the identity of that device',
}

function contentOf({ text, json }: { text?: string; json?: unknown }): object {
  return text === undefined ? { json } : { text }
}

/** Text of a message, with further lines indented, so that no text can look like another message. */
export function messageText(message: { at: string; text?: string; json?: unknown }, who: string): string {
  const content = message.text === undefined ? (JSON.stringify(message.json) ?? '') : message.text
  return `${localTime(message.at)}  ${printableLine(who)}: ${printableText(content).replaceAll('\n', '\n    ')}`
}
