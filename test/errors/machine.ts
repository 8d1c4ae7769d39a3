import { chown } from 'node:fs/promises'
import { runProcess } from '../lab/process.ts'
import { whyNoLab } from '../lab/requirements.ts'
import { entryPoint } from './situation.ts'

/** What some situations need of the machine, and why it is not there: a sentence, or false when it is. */

const nobody = 65_534
const isRoot = process.getuid?.() === 0

export async function whyNotRoot(): Promise<string | false> {
  return process.platform === 'linux' && isRoot ? false : 'it needs root on Linux'
}

let lab: Promise<string | false> | undefined

export function whyNoNamespaces(): Promise<string | false> {
  return (lab ??= whyNoLab())
}

/** To be somebody who may not do everything. Who is not root is that already. */
export const asAnotherUser = {
  by: isRoot ? ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'] : [],
  own: async (path: string): Promise<void> => {
    if (isRoot) await chown(path, nobody, nobody)
  },
}

let otherUser: Promise<string | false> | undefined

export function whyNoOtherUser(): Promise<string | false> {
  return (otherUser ??= findOtherUser())
}

async function findOtherUser(): Promise<string | false> {
  if (process.platform === 'win32') return 'Windows has no file modes'
  if (!isRoot) return false
  // A checkout in root's own directory is closed to everybody else.
  const tryIt = runProcess([...asAnotherUser.by, process.execPath, entryPoint, '--version'])
  const { code } = await tryIt.catch(() => ({ code: null }))
  return code === 0 ? false : 'other users cannot run this checkout'
}
