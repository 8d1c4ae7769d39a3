import { exitCodes } from './exit-codes.ts'

export interface Interruption {
  /** Aborts when the command is to end early. */
  signal: AbortSignal
  /** Exit code of the process then; null as long as nothing has happened. */
  readonly exitCode: number | null
  /** Interrupts as Ctrl-C does. */
  interrupt: () => void
  stopListening: () => void
}

/**
 * Listens for Ctrl-C, SIGTERM and a closed terminal, which end a command cleanly; a second one ends it at once. A reader of the
 * output that has gone (`spacedock inbox --follow | head -1`) ends it too, and that is no failure.
 */
export function listenForInterruption(): Interruption {
  const controller = new AbortController()
  let exitCode: number | null = null

  const end = (code: number): void => {
    exitCode ??= code
    controller.abort(new Error('The command was interrupted.'))
  }
  const interrupt = (): void => {
    if (exitCode !== null) process.exit(exitCodes.interrupted)
    end(exitCodes.interrupted)
  }
  const outputFailed = (error: NodeJS.ErrnoException): void =>
    end(error.code === 'EPIPE' ? exitCodes.ok : exitCodes.failure)

  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, interrupt)
  process.stdout.on('error', outputFailed)
  process.stderr.on('error', outputFailed)
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode
    },
    interrupt,
    stopListening: () => {
      for (const signal of signals) process.off(signal, interrupt)
    },
  }
}
