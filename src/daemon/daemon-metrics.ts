import type { NodeMetrics } from '../metrics.ts'

/** Counters of the node and of the daemon. */
export interface DaemonMetrics extends NodeMetrics {
  /** Exceptions that nobody caught, and that the daemon survived. Each is in the log, and is to be reported. */
  defects: number
}
