import type { Duplex } from 'node:stream'
import type { Pipe } from './subject.ts'

/** A socket of Node, or what is written and read like one. */
export function socketPipe(socket: Duplex): Pipe {
  return {
    write: (bytes) =>
      socket.write(bytes) ? undefined : new Promise((resolve) => void socket.once('drain', () => resolve())),
    read: (onBytes) => void socket.on('data', onBytes),
  }
}
