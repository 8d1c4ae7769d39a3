import type { DeviceInfo } from '../../api.ts'
import { printableLine } from '../../daemon/printable.ts'
import { SpacedockError } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { deviceRemedies, deviceTable, type PaintState, shownState, shortAddress } from '../device-table.ts'
import { describeTiming } from '../durations.ts'
import { exitCodes } from '../exit-codes.ts'
import { noticeText } from '../status-text.ts'

const naming = 'A device is named by its name, its id, or the beginning of either if only one device has it.'

export const devices: Command = {
  name: 'devices',
  summary: 'list the devices that this one is paired with',
  usage: [''],
  options: {},
  positionals: { least: 0, most: 0 },
  startsDaemon: true,
  examples: [
    {
      line: 'devices',
      what: 'name, state, path, id; address, round trip, since when, or why it is not connected',
    },
  ],
  run: async ({ daemon, output }) => {
    const { devices: found, notices = [] } = await daemon.call('devices', {})
    if (output.json) for (const device of found) output.result(deviceLine(device), '')
    else if (found.length > 0) {
      output.text(deviceTable(found, new Date(), paintState(output)))
      const remedies = deviceRemedies(found)
      if (remedies !== '') output.progress({ event: 'advice' }, remedies)
    } else
      output.progress(
        { event: 'none' },
        'No devices yet: "spacedock pair" here and "spacedock join" on the other one.',
      )
    for (const notice of notices) output.progress({ event: 'notice', code: notice.code }, noticeText(notice))
    return exitCodes.ok
  },
}

export const rename: Command = {
  name: 'rename',
  summary: 'give a device another name on this one, or rename this one',
  usage: ['DEVICE NAME', '--self NAME'],
  options: { self: { type: 'boolean', what: 'this device, as others see it' } },
  positionals: { least: 1, most: 2 },
  startsDaemon: true,
  notes: [naming],
  examples: [
    { line: 'rename "Pixel 9" phone', what: '' },
    { line: 'rename --self laptop', what: '' },
  ],
  run: async ({ options, positionals, daemon, output }) => {
    const [first = '', second] = positionals
    if (options.flag('self') === (second !== undefined)) {
      const message = options.flag('self')
        ? 'The command "rename --self" takes one name.'
        : 'The command "rename" takes a device and its new name.'
      throw new SpacedockError('invalid-argument', message, { hint: 'Names with spaces go in quotes.' })
    }
    if (second === undefined) {
      const { id, name } = await daemon.call('renameSelf', { name: first })
      output.result(
        { event: 'renamed', device: { id, name } },
        `This device is called "${printableLine(name)}".`,
      )
    } else {
      const { device } = await daemon.call('rename', { device: first, name: second })
      output.result(
        { event: 'renamed', device: brief(device) },
        `It is called "${printableLine(device.name)}" now.`,
      )
    }
    return exitCodes.ok
  },
}

export const revoke: Command = {
  name: 'revoke',
  summary: 'end the pairing with a device: it is not trusted any more',
  usage: ['DEVICE [--yes]'],
  options: { yes: { type: 'boolean', short: 'y', what: 'do not ask' } },
  positionals: { least: 1, most: 1 },
  startsDaemon: true,
  notes: [
    naming,
    'Its connections are closed before the command returns. Pairing again makes it trusted again.',
  ],
  examples: [{ line: 'revoke phone', what: 'for instance when it is lost' }],
  run: async (context) => {
    const { positionals, daemon, output } = context
    const [reference = ''] = positionals
    requireAnswerOrYes(context)
    const { device } = await daemon.call('device', { device: reference })
    if (!(await mayRevoke(context, device))) throw notRevoked(device)
    const { device: revoked } = await daemon.call('revoke', { device: device.id })
    output.result(
      { event: 'revoked', device: brief(revoked) },
      `"${printableLine(revoked.name)}" is not trusted any more.`,
    )
    return exitCodes.ok
  },
}

export const ping: Command = {
  name: 'ping',
  summary: 'measure the way to a device',
  usage: ['DEVICE'],
  options: {},
  positionals: { least: 1, most: 1 },
  startsDaemon: true,
  notes: [naming, 'Exit code 5 when it is offline.'],
  examples: [{ line: 'ping phone', what: 'round trip, direct or relayed, address' }],
  run: async ({ positionals, daemon, output }) => {
    const [reference = ''] = positionals
    const { roundTripMs, path, address } = await daemon.call('ping', { device: reference })
    const text = `${describeTiming(roundTripMs)}, ${path}, ${shortAddress(address)}`
    output.result({ event: 'pong', roundTripMs, path, address }, text)
    return exitCodes.ok
  },
}

/** Constant part of a device, the content of events. */
export function brief({ id, name, peerId }: DeviceInfo): { id: string; name: string; peerId: string } {
  return { id, name, peerId }
}

/** One line of `devices --json`. */
function deviceLine(device: DeviceInfo): object {
  const { id, name, peerId, state, needsPairing, path, limited, address, lastSeen } = device
  const { roundTripMs, connectedSince, lastFailure } = device
  const why = needsPairing === null ? {} : { needsPairing }
  const live = { roundTripMs, connectedSince, lastFailure }
  return { id, name, peerId, state: shownState(state), ...why, path, limited, address, lastSeen, ...live }
}

function requireAnswerOrYes({ options, person }: CommandContext): void {
  if (options.flag('yes') || person.canAnswer) return
  throw new SpacedockError(
    'invalid-argument',
    'This asks before it changes anything, and nobody is there to answer.',
    {
      hint: 'Say --yes to go ahead without the question.',
    },
  )
}

function notRevoked({ name }: DeviceInfo): SpacedockError {
  return new SpacedockError('declined', `The pairing with "${name}" was left as it is.`, {
    hint: 'Answer "y" to end it.',
  })
}

async function mayRevoke({ options, person, signal }: CommandContext, device: DeviceInfo): Promise<boolean> {
  if (options.flag('yes')) return true
  return person.confirm(
    `End the pairing with "${printableLine(device.name)}" (${printableLine(device.id)})?`,
    { signal },
  )
}

function paintState(output: CommandContext['output']): PaintState {
  return (padded, state) => {
    if (state === 'connected') return output.paint('green', padded)
    return state === 'needs-pairing' ? output.paint('yellow', padded) : output.paint('dim', padded)
  }
}
