import { createHash } from 'node:crypto'
import { SpacedockError } from '../../errors.ts'

/**
 * Plan of a service, the same for every service manager. It holds no settings: the device keeps those, out of sight of the machine's
 * other users.
 */
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
}

/**
 * Plans one service per data directory, each a device of its own. Throws `invalid-argument` for what no service file can hold.
 */
export function planService(options: ServiceOptions): ServicePlan {
  const { dataDir, usualDataDir, nodePath, binPath } = options
  const command = [nodePath, binPath, 'up', '--foreground', `--dir=${dataDir}`]
  if (command.some((part) => unspeakable.test(part))) {
    throw new SpacedockError(
      'invalid-argument',
      'A service cannot be made with control characters in a path.',
      { hint: 'Choose another directory with --dir.' },
    )
  }
  const suffix = createHash('sha256').update(dataDir).digest('hex').slice(0, 8)
  return { name: dataDir === usualDataDir ? 'spacedock' : `spacedock-${suffix}`, dataDir, command }
}

/** Characters that no service file can hold: line breaks among them; lone surrogates are no UTF-8. */
const unspeakable = /[\p{Cc}\p{Cs}]/u
