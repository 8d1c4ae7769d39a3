import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Log, SpacedockNode } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { fileError } from '../file-errors.ts'
import type { DaemonFacts } from './methods.ts'
import { serveConnection } from './server-connection.ts'
import { prepareSocketAddress } from './socket-path.ts'
import { watchSocket } from './socket-watch.ts'

export interface DaemonServerOptions {
  node: SpacedockNode
  about: () => DaemonFacts
  /** Directory whose lock the caller holds: an older socket there is stale and is removed. */
  dataDir: string
  log: Log
  /** Called when a client asks the daemon to stop. */
  onStop: () => void
  /** Called when the data directory is gone: nothing can be kept any more, and nobody can reach the daemon. */
  onDirectoryLost: () => void
  /** Deadline for the first line; tests shorten it. @default 5000 */
  requestDeadlineMs?: number
}

export interface DaemonServer {
  readonly address: string
  /** Refuses new clients and ends every call; clients that asked for the stop stay connected until `release`. */
  close(): Promise<void>
  /** Closes the remaining connections. The end of the process does the same. */
  release(): void
}

const mostConnections = 256

export async function startServer(options: DaemonServerOptions): Promise<DaemonServer> {
  const { node, about, dataDir, log, onStop, requestDeadlineMs = 5000 } = options
  const address = await prepareSocketAddress(dataDir)
  const stopping = new AbortController()
  const sockets = new Set<Socket>()
  const calls = new Set<Promise<void>>()

  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // The call never rejects.
    const call = serveConnection(socket, {
      node,
      about,
      log,
      onStop,
      requestDeadlineMs,
      stopping: stopping.signal,
    })
    calls.add(call)
    void call.finally(() => calls.delete(call))
  })
  server.maxConnections = mostConnections
  await listen(server, address)
  server.on('error', (error) => log('error', 'daemon.server-failed', { error }))

  const socket = keepSocket(server, address, options, stopping.signal)

  return {
    get address() {
      return socket.address
    },
    close: async () => {
      socket.stopWatching()
      // The socket goes at once, while the lock is still held: afterwards it could be a successor's.
      server.close()
      stopping.abort(
        new SpacedockError('closed', 'The daemon was stopped.', {
          hint: 'Start it again with "spacedock up".',
        }),
      )
      await Promise.allSettled(calls)
    },
    release: () => {
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Listens anew, where there is a place for it, when the file of the socket is gone. */
function keepSocket(
  server: Server,
  first: string,
  { dataDir, log, onDirectoryLost }: DaemonServerOptions,
  stopping: AbortSignal,
): { readonly address: string; stopWatching: () => void } {
  let address = first
  let isSaid = false
  // A named pipe has no file that could be lost.
  if (process.platform === 'win32') return { address, stopWatching: () => undefined }
  const listenAnew = async (): Promise<void> => {
    try {
      server.close() // before the new socket is there: closing removes the file of that name
      address = await prepareSocketAddress(dataDir)
      if (stopping.aborted) return
      await listen(server, address)
      isSaid = false
      log('warn', 'daemon.socket-lost', { address })
    } catch (error) {
      // Said once, and tried again every second.
      if (!isSaid) log('error', 'daemon.socket-lost', { error })
      isSaid = true
    }
  }
  const stopWatching = watchSocket({ address: () => address, dataDir }, async (state) => {
    if (state === 'lost') return listenAnew()
    stopWatching()
    log('error', 'daemon.directory-lost', { dataDir })
    onDirectoryLost()
  })
  return {
    get address() {
      return address
    },
    stopWatching,
  }
}

function cannotListen(address: string, cause: Error): Error {
  const isTaken = 'code' in cause && cause.code === 'EADDRINUSE'
  if (!isTaken) return fileError(cause, dirname(address)) ?? cause
  return new SpacedockError('directory-unusable', `Another program listens at ${address}.`, {
    hint: 'Stop it, or choose another directory with --dir.',
    cause,
  })
}

/** Listens on a socket made with mode 0600 from the start: there is no moment in which others could connect. */
async function listen(server: Server, address: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (cause: Error): void => {
      reject(cannotListen(address, cause))
    }
    server.once('error', failed)
    const umask = process.umask(0o177)
    try {
      server.listen(address, () => {
        server.off('error', failed)
        resolve()
      })
    } finally {
      process.umask(umask)
    }
  })
}
