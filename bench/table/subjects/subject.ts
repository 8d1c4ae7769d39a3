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
  /** Sends bytes until the process ends; calls back when some have arrived at the other end, with how many. */
  flow?(arrived: (bytes: number) => void): Promise<void>
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
  /** Takes bytes; returns whether it wants more at once. */
  write(bytes: Uint8Array): boolean
  /** Resolves when it wants more. */
  drained(): Promise<void>
  /** Gives this all bytes that come. Called once, before any come. */
  read(onBytes: (bytes: Uint8Array) => void): void
}

/** Where an end listens: the loopback interface, or the one that this process was given. */
export const host = process.env['BENCH_HOST'] ?? '127.0.0.1'
export const loopback = process.env['BENCH_INTERFACE'] ?? (process.platform === 'darwin' ? 'lo0' : 'lo')
