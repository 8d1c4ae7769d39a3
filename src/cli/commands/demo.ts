import type { DeviceInfo } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import {
  callDevice,
  type DemoDevice,
  type DemoDevices,
  startDemoDevices,
  waitForState,
} from '../demo-devices.ts'
import { pairDevices, type Tell } from '../demo-pairing.ts'
import { describeTiming } from '../durations.ts'
import { exitCodes } from '../exit-codes.ts'

const arrivalDeadlineMs = 15_000

export const demo: Command = {
  name: 'demo',
  summary: 'see it work: two devices on this machine pair, talk and part',
  usage: [''],
  options: {},
  positionals: { least: 0, most: 0 },
  startsDaemon: false,
  notes: [
    'Starts two real daemons in temporary directories, on the loopback interface only, and has them do what two\ndevices do. Everything is stopped and removed at the end, also after Ctrl-C.',
  ],
  examples: [],
  run: async (context) => {
    const { environment, signal } = context
    const tell = narrator(context)
    tell(
      null,
      { event: 'begin' },
      'Two devices, alice and bob: two processes that know nothing of each other.',
    )
    const devices = await startDemoDevices(environment.binPath, signal)
    try {
      await play(devices, tell, signal)
    } finally {
      await devices.remove()
    }
    tell(
      null,
      { event: 'done' },
      'Both daemons are stopped, their files removed. Your turn: "spacedock pair".',
    )
    return exitCodes.ok
  },
}

async function play({ alice, bob }: DemoDevices, tell: Tell, signal: AbortSignal): Promise<void> {
  for (const device of [alice, bob]) {
    tell(device, { event: 'started', pid: device.pid }, `is up (pid ${device.pid}).`)
  }
  await pairDevices(alice, bob, tell, signal)

  await Promise.all([waitForState(alice, isConnected, signal), waitForState(bob, isConnected, signal)])
  await deliver(alice, bob, 'Permission to come aboard?', tell, signal)
  await deliver(bob, alice, 'Granted. Dock 7 is yours.', tell, signal)

  const { roundTripMs, path, address } = await callDevice(alice, 'ping', { device: bob.name }, { signal })
  const way = `reaches bob in ${describeTiming(roundTripMs)}, ${path}.`
  tell(alice, { event: 'pong', roundTripMs, path, address }, way)

  await callDevice(alice, 'revoke', { device: bob.name }, { signal })
  tell(alice, { event: 'revoked', revoked: bob.name }, 'ends the pairing: bob is not trusted any more.')
  await waitForState(bob, (other) => !isConnected(other), signal)
  tell(bob, { event: 'disconnected' }, 'is cut off.')
}

/** Sends, and waits until the message is acknowledged here and has arrived there. */
async function deliver(
  from: DemoDevice,
  to: DemoDevice,
  text: string,
  tell: Tell,
  signal: AbortSignal,
): Promise<void> {
  const began = performance.now()
  const arrived = new AbortController()
  const readsUntilItArrives = callDevice(
    to,
    'inbox',
    { follow: true },
    {
      signal: AbortSignal.any([signal, arrived.signal, AbortSignal.timeout(arrivalDeadlineMs)]),
      onEvent: (message) => {
        if (message.text === text) arrived.abort()
      },
    },
  ).catch((error: unknown) => {
    if (!arrived.signal.aborted) throw error
  })
  const sends = callDevice(from, 'send', { device: to.name, content: { text } }, { signal })
  const [{ id, status }] = await Promise.all([sends, readsUntilItArrives])
  if (status !== 'delivered') {
    throw new SpacedockError('offline', `The demo’s ${to.name} was offline when ${from.name} sent to it.`, {
      hint: 'Run "spacedock demo" again; if it happens again, please report it.',
    })
  }
  const tookMs = Math.round(performance.now() - began)
  const said = `to ${to.name}: “${text}”, acknowledged after ${describeTiming(tookMs)}.`
  tell(from, { event: 'delivered', id, to: to.name, text, tookMs }, said)
}

function isConnected({ state }: DeviceInfo): boolean {
  return state === 'connected'
}

/** Tells each step on a line that begins with the time since the start. */
function narrator({ output }: CommandContext): Tell {
  const began = performance.now()
  return (who, event, text) => {
    const elapsedMs = Math.round(performance.now() - began)
    const clock = output.paint('dim', `${(elapsedMs / 1000).toFixed(2).padStart(6)} s`)
    const line =
      who === null
        ? text
        : `${output.paint(who.name === 'alice' ? 'cyan' : 'yellow', who.name.padEnd(5))} ${text}`
    const { event: name, ...fields } = event
    output.result(
      { event: name, ...(who === null ? {} : { device: who.name }), ...fields, elapsedMs },
      `${clock}  ${line}`,
    )
  }
}
