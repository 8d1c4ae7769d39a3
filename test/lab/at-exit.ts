/**
 * Runs `cleanup` when this process ends in any way that can still run code: a normal end, `process.exit`, an uncaught
 * error, SIGINT, SIGTERM, SIGHUP. It must be synchronous. The function returned takes it back.
 */
export function atExit(cleanup: () => void): () => void {
  if (cleanups.size === 0) listen()
  cleanups.add(cleanup)
  return () => {
    if (cleanups.delete(cleanup) && cleanups.size === 0) stopListening()
  }
}

const cleanups = new Set<() => void>()
const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function listen(): void {
  process.on('exit', runAll)
  for (const signal of endingSignals) process.on(signal, endBySignal)
}

function stopListening(): void {
  process.off('exit', runAll)
  for (const signal of endingSignals) process.off(signal, endBySignal)
}

function endBySignal(signal: NodeJS.Signals): void {
  runAll()
  stopListening()
  // Listening had taken away the signal's own effect: without our listener it ends the process.
  process.kill(process.pid, signal)
}

function runAll(): void {
  for (const cleanup of cleanups) {
    cleanups.delete(cleanup)
    try {
      cleanup()
    } catch (error) {
      console.error(error)
    }
  }
}
