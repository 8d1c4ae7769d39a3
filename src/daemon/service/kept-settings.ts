import { callDaemon, isDaemonRunning } from '../client.ts'
import { mergeConfig, readConfig, sameConfig } from '../config.ts'
import { type DaemonSettings, startDaemon } from '../process.ts'
import { stopDaemon } from '../stop.ts'

/** Settings given to a service's daemon. */
export interface GivenSettings {
  dataDir: string
  /** Absolute path of the command's script. */
  binPath: string
  settings: DaemonSettings
  signal: AbortSignal
}

/**
 * Has the device itself keep the settings, by starting its daemon with them once, which also checks them. They stay out of the file
 * of the service and out of its command line, which every user of the machine can read: one may be a relay's secret. No daemon
 * runs afterwards. Rejects as the daemon's start does; then nothing was kept.
 */
export async function keepSettings({ dataDir, binPath, settings, signal }: GivenSettings): Promise<void> {
  if (await isDaemonRunning(dataDir)) await stopDaemon(dataDir, { signal })
  await startDaemon({ dataDir, binPath, settings, signal })
  await stopDaemon(dataDir, { signal })
}

/** Whether the running daemon has these settings already. */
export async function hasSettings({ dataDir, settings, signal }: GivenSettings): Promise<boolean> {
  const { name, ...config } = settings
  const kept = await readConfig(dataDir)
  if (!sameConfig(kept, mergeConfig(kept, config))) return false
  return name === undefined || (await callDaemon(dataDir, 'status', {}, { signal })).name === name
}
