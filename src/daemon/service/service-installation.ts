import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SpacedockError } from '../../errors.ts'
import { fileError } from '../../file-errors.ts'
import { makeDirectories } from '../../make-directories.ts'
import { prepareDataDirectory } from '../../store/data-directory.ts'
import { isDaemonRunning } from '../client.ts'
import { stopDaemon } from '../stop.ts'
import { type GivenSettings, hasSettings, keepSettings } from './kept-settings.ts'
import type { ServiceManager } from './service-manager.ts'

export interface Installed {
  /** Result of the installation. `unchanged`: it was installed like this, and runs. */
  outcome: 'installed' | 'updated' | 'unchanged'
}

const readyDeadlineMs = 30_000

/**
 * Has the service manager run the daemon from now on, and waits until it answers. Doing it again changes nothing, or
 * brings in new settings. A daemon that runs in the background makes way for the service.
 *
 * Rejects `service-failed`, `directory-unusable`, `disk-full`, what the daemon says of the settings, or the signal's reason.
 */
export async function installService(manager: ServiceManager, given: GivenSettings): Promise<Installed> {
  const { dataDir, settings, signal } = given
  await manager.check('install')
  const before = await readText(manager.path)
  const isSame = before === manager.file
  const runs = before !== null && (await manager.isActive()) && (await isDaemonRunning(dataDir))
  if (isSame && runs && (await hasSettings(given))) return { outcome: 'unchanged' }
  if (Object.keys(settings).length > 0) {
    try {
      await keepSettings(given)
    } catch (error) {
      // The service goes on as it was.
      if (runs) await manager.start()
      throw error
    }
  }
  try {
    // The daemon's log may have to be made before the daemon is.
    prepareDataDirectory(dataDir)
    if (!isSame) await replaceFile(manager.path, manager.file)
  } catch (error) {
    throw fileError(error, dirname(manager.path)) ?? error
  }
  if (await isDaemonRunning(dataDir)) await stopDaemon(dataDir, { signal })
  await manager.start()
  await untilReady(manager, dataDir, signal)
  return { outcome: before === null ? 'installed' : 'updated' }
}

/** Stops the service and takes it away; says whether there was one. The device's data stays. Rejects `service-failed`. */
export async function removeService(manager: ServiceManager): Promise<{ outcome: 'removed' | 'none' }> {
  if ((await readText(manager.path)) === null) return { outcome: 'none' }
  await manager.check('remove')
  await manager.stop()
  await rm(manager.path, { force: true })
  await manager.forget()
  return { outcome: 'removed' }
}

async function untilReady(manager: ServiceManager, dataDir: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + readyDeadlineMs
  while (!(await isDaemonRunning(dataDir))) {
    signal.throwIfAborted()
    if (performance.now() >= deadline) {
      throw new SpacedockError(
        'service-failed',
        'The service was installed, and its daemon does not answer.',
        {
          hint: `Its log says why: ${manager.showLog}`,
        },
      )
    }
    await new Promise((resume) => void setTimeout(resume, 50))
  }
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw fileError(error, dirname(path)) ?? error
  }
}

/** Replaces the file as a whole or not at all: the manager may read it at any moment. */
async function replaceFile(path: string, content: string): Promise<void> {
  makeDirectories(dirname(path), 0o777)
  const temporary = `${path}.new`
  await writeFile(temporary, content, { mode: 0o644 })
  await rename(temporary, path)
}
