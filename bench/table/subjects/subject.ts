/**
 * One end of a way to carry messages, as the benchmark uses it. Both ends live in processes of their own (end.ts); a file of this
 * folder exports a `Subject`, or a `Transport` that `overPipes` makes one.
 */
export interface Subject {
  /** Starts to answer; resolves to what `connect` of the other process needs. */
  serve(): Promise<string>
  connect(address: string): Promise<Client>
}

export interface Client {
  /** Prepares for messages of this size. */
  messages(bytes: number): Promise<Asker>
  /** Sends as many bytes; resolves when the other end has them all. */
  pour?(totalBytes: number): Promise<void>
}

export interface Asker {
  /** Sends a message, and calls back when as many bytes have come back. Answers come in the order of the messages, or in any. */
  ask(answered: () => void): void
}

/** Way to carry bytes in order. */
export interface Transport {
  listen(onPipe: (pipe: Pipe) => void): Promise<string>
  /** Connects once; resolves to what opens a pipe in that connection, or one connection for each. */
  connect(address: string): Promise<() => Promise<Pipe>>
}

export interface Pipe {
  /** Takes bytes; returns a promise when it wants no more until that resolves. */
  write(bytes: Uint8Array): Promise<void> | undefined
  /** Gives this all bytes that come. Called once, before any come. */
  read(onBytes: (bytes: Uint8Array) => void): void
}

export const host = '127.0.0.1'
export const loopback = process.platform === 'darwin' ? 'lo0' : 'lo'
