import { lstat } from 'node:fs/promises'

/** Shorter than a command waits for a daemon that starts, so that the next command finds the new socket. */
const intervalMs = 1000

/** What a look for the socket's file has found. */
export type SocketState = 'there' | 'lost' | 'without-directory'

/**
 * Watches whether the file of the socket is still there: a runtime directory is wiped when its user logs out, and a temporary one by
 * a cleaner, while the daemon goes on. Systems tell of it in different ways or, behind links, not at all, so it looks every second.
 * One call at a time. Returns what stops it.
 */
export function watchSocket(
  { address, dataDir }: { address: () => string; dataDir: string },
  onLost: (state: Exclude<SocketState, 'there'>) => Promise<void>,
): () => void {
  let isLooking = false
  const look = async (): Promise<void> => {
    if (isLooking) return
    isLooking = true
    try {
      const state = await stateOf(address(), dataDir)
      if (state !== 'there') await onLost(state)
    } finally {
      isLooking = false
    }
  }
  const timer = setInterval(() => void look(), intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}

async function stateOf(address: string, dataDir: string): Promise<SocketState> {
  if (!(await isMissing(address))) return 'there'
  return (await isMissing(dataDir)) ? 'without-directory' : 'lost'
}

/** Whether it is known to be gone: what cannot be looked at just now may be there. */
async function isMissing(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
  }
}
