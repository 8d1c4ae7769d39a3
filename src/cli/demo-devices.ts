import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DeviceInfo } from '../api.ts'
import type { MethodName, Params, Result } from '../daemon/daemon-api.ts'
import { callDaemon, type CallOptions } from '../daemon/client.ts'
import { startDaemon } from '../daemon/process.ts'
import { stopDaemon } from '../daemon/stop.ts'
import { SpacedockError } from '../errors.ts'

/** One device of the demo: a daemon in a process of its own. */
export interface DemoDevice {
  name: string
  dataDir: string
  pid: number
}

export interface DemoDevices {
  alice: DemoDevice
  bob: DemoDevice
  /** Stops both processes and removes everything. Never rejects. */
  remove: () => Promise<void>
}

/** Starts two daemons in temporary directories, on loopback only. Leaves nothing behind when it rejects. */
export async function startDemoDevices(binPath: string, signal: AbortSignal): Promise<DemoDevices> {
  const directory = await mkdtemp(join(tmpdir(), 'spacedock-demo-'))
  const pids: number[] = []
  const removeAtOnce = (): void => {
    for (const pid of pids) kill(pid)
    rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', removeAtOnce) // a second Ctrl-C leaves no time for more

  const start = async (name: string): Promise<DemoDevice> => {
    const dataDir = join(directory, name)
    const settings = { name, interfaces: [loopbackInterface()] }
    await startDaemon({ dataDir, binPath, settings, signal })
    const { pid } = await callDaemon(dataDir, 'status', {}, { signal })
    pids.push(pid)
    return { name, dataDir, pid }
  }
  const remove = async (): Promise<void> => {
    await Promise.allSettled(['alice', 'bob'].map((name) => stopDaemon(join(directory, name))))
    for (const pid of pids) kill(pid)
    await rm(directory, { recursive: true, force: true, maxRetries: 5 }).catch(() => undefined)
    process.off('exit', removeAtOnce)
  }

  const [alice, bob] = await Promise.allSettled([start('alice'), start('bob')])
  if (alice.status === 'fulfilled' && bob.status === 'fulfilled')
    return { alice: alice.value, bob: bob.value, remove }
  await remove()
  throw alice.status === 'rejected' ? alice.reason : bob.status === 'rejected' ? bob.reason : undefined
}

/** Calls one method over the device's local socket, as the commands do. */
export function callDevice<M extends MethodName>(
  device: DemoDevice,
  method: M,
  params: Params<M>,
  options: CallOptions<M> & { signal: AbortSignal },
): Promise<Result<M>> {
  return callDaemon(device.dataDir, method, params, options)
}

/** Waits until the device sees its only other device as the test wants it. */
export async function waitForState(
  device: DemoDevice,
  isReached: (other: DeviceInfo) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const deadline = AbortSignal.timeout(15_000)
  for (;;) {
    const { devices } = await callDevice(device, 'devices', {}, { signal })
    if (devices.some(isReached)) return
    if (deadline.aborted)
      throw new SpacedockError('timed-out', `The demo’s ${device.name} did not see the change within 15 s.`, {
        hint: 'Run "spacedock demo" again; if it happens again, please report it.',
      })
    await new Promise((resume) => void setTimeout(resume, 20))
  }
}

/** Name of the loopback interface: `lo` on Linux, `lo0` on macOS, something longer on Windows. */
function loopbackInterface(): string {
  const found = Object.entries(networkInterfaces()).find(
    ([, addresses = []]) => addresses.length > 0 && addresses.every(({ internal }) => internal),
  )
  if (found === undefined) {
    throw new SpacedockError('no-network', 'This machine has no loopback interface, which the demo needs.', {
      hint: 'Bring it up, for instance with "ip link set lo up".',
    })
  }
  return found[0]
}

/** Kills a process that the demo has started and that has not answered to being stopped. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // The process is gone, as it should be.
  }
}
