import type { NodeMetrics } from '../metrics.ts'

/** What the node has counted, and what the daemon has. */
export interface DaemonMetrics extends NodeMetrics {
  /** Exceptions that nobody caught, and that the daemon survived. Each is in the log, and is to be reported. */
  defects: number
}
