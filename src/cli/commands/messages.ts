import type { Message, QueuedMessage } from '../../api.ts'
import { requestLineCapBytes } from '../../daemon/api.ts'
import { printableLine, printableText } from '../../daemon/printable.ts'
import { SpacedockError } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { localTime } from '../device-table.ts'
import { exitCodes } from '../exit-codes.ts'

export const send: Command = {
  name: 'send',
  summary: 'send a message to a device',
  usage: ['DEVICE TEXT', 'DEVICE -'],
  options: { 'as-json': { type: 'boolean', what: 'the text is a JSON value, and arrives as one' } },
  positionals: { least: 2, most: 2 },
  startsDaemon: true,
  notes: [
    'Says "delivered" when the other device has stored it. While that device is offline the message is kept here\nand goes out when it is back: then it says "queued", which is no failure.',
  ],
  examples: [
    { line: 'send phone "on my way"', what: '' },
    { line: 'send phone -- --not-an-option', what: 'a text that begins with a dash' },
    { line: 'send phone - < notes.txt', what: 'the text from standard input' },
    { line: `send phone --as-json '{"lamp":"on"}'`, what: '' },
  ],
  run: async (context) => {
    const { positionals, daemon, output } = context
    const [device = ''] = positionals
    const content = await readContent(context)
    const { id, status } = await daemon.call('send', { device, content })
    const text = status === 'delivered' ? 'Delivered.' : 'Queued: it goes out when the device is back.'
    output.result({ event: status, id }, text)
    return exitCodes.ok
  },
}

export const inbox: Command = {
  name: 'inbox',
  summary: 'show the messages that have arrived',
  usage: ['[--follow] [--after N]'],
  options: {
    follow: { type: 'boolean', what: 'and those that arrive from now on, until Ctrl-C' },
    after: { type: 'string', value: 'N', what: 'only those with a sequence number above N' },
  },
  positionals: { least: 0, most: 0 },
  startsDaemon: true,
  examples: [
    { line: 'inbox', what: 'everything' },
    { line: 'inbox --follow --json', what: 'one message a line, for programs' },
  ],
  run: async ({ options, daemon, output }) => {
    const after = options.wholeNumber('after', 0, Number.MAX_SAFE_INTEGER)
    const params = { follow: options.flag('follow'), ...(after === undefined ? {} : { after }) }
    let count = 0
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
  summary: 'show the messages that wait for their device',
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
          output.result(outboxLine(message), messageText(message, `to ${message.to.name}`))
        },
      },
    )
    if (count === 0 && !options.flag('json')) output.progress({ event: 'none' }, 'Nothing waits.')
    return exitCodes.ok
  },
}

async function readContent({
  options,
  positionals,
  person,
  signal,
}: CommandContext): Promise<{ text: string } | { json: unknown }> {
  const [, given = ''] = positionals
  const text = given === '-' ? await person.readAll({ signal, capBytes: requestLineCapBytes }) : given
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

function outboxLine({ id, to, at, ...content }: QueuedMessage): object {
  return { id, to: { id: to.id, name: to.name }, ...contentOf(content), at }
}

function contentOf({ text, json }: { text?: string; json?: unknown }): object {
  return text === undefined ? { json } : { text }
}

/** Further lines of a text are indented, so that no text can look like another message. */
export function messageText(message: { at: string; text?: string; json?: unknown }, who: string): string {
  const content = message.text === undefined ? (JSON.stringify(message.json) ?? '') : message.text
  return `${localTime(message.at)}  ${printableLine(who)}: ${printableText(content).replaceAll('\n', '\n    ')}`
}
