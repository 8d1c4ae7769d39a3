import { isAbsolute, join, resolve } from 'node:path'
import { homeDirectory } from '../daemon/home-directory.ts'

/**
 * Chooses the data directory: `--dir` goes before SPACEDOCK_DIR, which goes before the place that the system has for such data.
 */
export function dataDirectory(
  given: string | undefined,
  environment: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  if (given !== undefined) return resolve(given)
  const chosen = environment['SPACEDOCK_DIR']
  if (chosen !== undefined && chosen !== '') return resolve(chosen)
  return join(systemDirectory(environment, platform), 'spacedock')
}

function systemDirectory(environment: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  if (platform === 'darwin') return join(homeDirectory(), 'Library', 'Application Support')
  if (platform === 'win32') return environment['LOCALAPPDATA'] ?? join(homeDirectory(), 'AppData', 'Local')
  const data = environment['XDG_DATA_HOME'] // relative paths are invalid: XDG base directory specification
  return data !== undefined && isAbsolute(data) ? data : join(homeDirectory(), '.local', 'share')
}
