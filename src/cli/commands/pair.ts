import type { Event } from '../../daemon/daemon-api.ts'
import { printableLine } from '../../daemon/printable.ts'
import { qrCode, wordGrid } from '../code-screen.ts'
import type { Command } from '../command.ts'
import { chooseConfirming, confirmationOptions } from '../confirmation.ts'
import { countdown } from '../durations.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { showProgress } from '../pairing-progress.ts'
import { brief } from './devices.ts'

type Code = Event<'pair'> & { kind: 'code' }
type Progress = Exclude<Event<'pair'>, Code>

const otherWay =
  'Give the other device an address of this one: "spacedock status" shows them, "spacedock join --peer" takes them.'

export const pair: Command = {
  name: 'pair',
  summary: 'show twelve words with which another device of yours can pair',
  usage: ['[--peer MULTIADDR]... [--yes]'],
  options: {
    ...confirmationOptions,
    peer: {
      type: 'string',
      value: 'MULTIADDR',
      multiple: true,
      what: 'connect to the other device at this address; ends in /p2p/PEERID',
    },
  },
  positionals: { least: 0, most: 0 },
  startsDaemon: true,
  notes: [
    'The words are good for one device and five minutes, and only as long as this command runs. When the other\ndevice has them, it shows six digits: type them here. They are the same for both devices unless somebody sits in\nbetween; who calls you and asks for them, or tells you what to type, is not the other device.',
  ],
  examples: [
    { line: 'pair', what: 'then "spacedock join" on the other device' },
    { line: 'pair --yes', what: 'for scripts: whoever has the words is paired, and no digits are compared' },
  ],
  run: async (context) => {
    const { daemon, output } = context
    const { whom, onAsk, explain } = chooseConfirming(context, 'pair')
    const telling = { asked: whom, otherWay, place: 'pair' } as const
    const clock = startClock(output)
    const waysIn: Progress[] = []
    let isCodeShown = false
    const onEvent = async (event: Event<'pair'>): Promise<void> => {
      if (event.kind === 'code') {
        await showCode(event, output)
        isCodeShown = true
        for (const way of waysIn) showProgress(way, output, telling)
        clock.runTo(new Date(event.expiresAt))
      } else if (event.kind === 'source' && !isCodeShown) waysIn.push(event)
      else showProgress(event, output, telling)
    }
    try {
      const { device } = await daemon.call(
        'pair',
        { peers: context.options.list('peer'), ask: whom !== 'nobody' },
        {
          onEvent,
          onAsk: (question, options) => {
            clock.stop() // the code's time no longer matters: a person is deciding
            return onAsk(question, options)
          },
        },
      )
      clock.stop()
      output.result(
        { event: 'paired', device: brief(device) },
        `Paired with "${printableLine(device.name)}".`,
      )
      const { hintAtNamesake } = await import('../namesake.ts')
      await hintAtNamesake(context, device)
      return exitCodes.ok
    } catch (error) {
      throw explain(error)
    } finally {
      clock.stop()
    }
  },
}

async function showCode({ words, uri, sessionId, expiresAt }: Code, output: Output): Promise<void> {
  const { terminal } = output
  if (terminal !== null) {
    const { encode } = await import('uqr')
    const picture = qrCode(encode(uri, { ecc: 'L', border: 2 }).data, terminal, output.isColoured)
    if (picture !== null) output.text(`\n${picture}`)
  }
  const heading = 'Type these words on the other device, after "spacedock join":'
  output.result(
    { event: 'code', words, uri, sessionId, expiresAt },
    terminal === null ? words : `\n${heading}\n\n${output.paint('bold', wordGrid(words))}\n`,
  )
}

/** Shows once a second how long the code is still good, where lines can change. */
function startClock(output: Output): { runTo: (end: Date) => void; stop: () => void } {
  let timer: NodeJS.Timeout | undefined
  const stop = (): void => {
    clearInterval(timer)
    output.status('')
  }
  const runTo = (end: Date): void => {
    stop()
    const tick = (): void =>
      output.status(
        `Waiting for the other device, ${countdown(end.getTime() - Date.now())} left. Ctrl-C ends it.`,
      )
    if (!output.isLively) {
      output.progress({ event: 'expiry' }, `Waiting for the other device until ${end.toISOString()}.`)
      return
    }
    tick()
    timer = setInterval(tick, 1000)
  }
  return { runTo, stop }
}
