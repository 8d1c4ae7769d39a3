import { createHash } from 'node:crypto'
import { SpacedockError } from '../../errors.ts'
import { type DaemonSettings, upArguments } from '../process.ts'

/** Plan of a service, the same for every service manager. */
export interface ServicePlan {
  /** Name `spacedock`, or `spacedock-` and eight hex digits for another data directory than the usual one. */
  name: string
  /** Absolute path. */
  dataDir: string
  /** The program with its arguments; the first is an absolute path. */
  command: string[]
}

export interface ServiceOptions {
  /** Absolute path. */
  dataDir: string
  /** Directory of the daemon's data by default: its service has the plain name. */
  usualDataDir: string
  /** Absolute path of Node. */
  nodePath: string
  /** Absolute path of the command's script. */
  binPath: string
  settings: DaemonSettings
}

/**
 * Plans one service per data directory, each a device of its own. Throws `invalid-argument` for what no service file can hold.
 */
export function planService(options: ServiceOptions): ServicePlan {
  const { dataDir, usualDataDir, nodePath, binPath, settings } = options
  const command = [nodePath, binPath, 'up', '--foreground', ...upArguments(dataDir, settings)]
  if (command.some((part) => unspeakable.test(part))) {
    throw new SpacedockError(
      'invalid-argument',
      'A service cannot be made with control characters in a path or an option.',
      { hint: 'Choose another directory with --dir, and leave them out of the name.' },
    )
  }
  const suffix = createHash('sha256').update(dataDir).digest('hex').slice(0, 8)
  return { name: dataDir === usualDataDir ? 'spacedock' : `spacedock-${suffix}`, dataDir, command }
}

/** Characters that no service file can hold: line breaks among them; lone surrogates are no UTF-8. */
const unspeakable = /[\p{Cc}\p{Cs}]/u
