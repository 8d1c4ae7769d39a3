import type { ByPath, NodeMetrics } from '../metrics.ts'

/** Counters of the node and of the daemon. */
export interface DaemonMetrics extends NodeMetrics {
  /** Exceptions that nobody caught, and that the daemon survived. Each is in the log, and is to be reported. */
  defects: number
}

/** Facts told besides the counters. */
export interface ProcessFacts {
  version: string
  /** Number of paired devices. */
  devices: number
  /** Time of the start, seconds since the epoch. */
  startedAt: number
  residentBytes: number
  cpuSeconds: number
}

interface Family {
  name: string
  type: 'counter' | 'gauge'
  help: string
  samples: { labels?: Record<string, string>; value: number }[]
}

/**
 * Formats the text exposition of Prometheus, version 0.0.4. Labels are of closed sets that this file and the counters define:
 * nothing in them tells one device from another.
 */
export function exposition(metrics: DaemonMetrics, facts: ProcessFacts): string {
  const families = [...ofConnections(metrics), ...ofMessages(metrics), ...ofTheRest(metrics, facts)]
  return families.map(format).join('')
}

function ofConnections({ connections, dials, sessions }: DaemonMetrics): Family[] {
  return [
    {
      name: 'spacedock_connections_opened_total',
      type: 'counter',
      help: 'Encrypted connections opened, by path.',
      samples: byPath(connections.opened),
    },
    {
      name: 'spacedock_connections_open',
      type: 'gauge',
      help: 'Encrypted connections open now, by path.',
      samples: byPath(connections.open),
    },
    counter('spacedock_dials_total', 'Tries to connect to a device.', dials.tried),
    counter('spacedock_dials_failed_total', 'Tries to connect to a device that failed.', dials.failed),
    counter('spacedock_sessions_opened_total', 'Sessions with paired devices opened.', sessions.opened),
    counter('spacedock_sessions_lost_total', 'Times that a connected device was lost.', sessions.lost),
    {
      name: 'spacedock_sessions_open',
      type: 'gauge',
      help: 'Paired devices connected now, by path.',
      samples: byPath(sessions.open),
    },
    gauge('spacedock_sessions_over_tls', 'Paired devices connected over TLS now.', sessions.overTls),
    {
      name: 'spacedock_sessions_encrypted_total',
      type: 'counter',
      help: 'Sessions with paired devices opened, by what encrypts them.',
      samples: [
        { labels: { encryption: 'tls' }, value: sessions.encryption.tls },
        { labels: { encryption: 'noise' }, value: sessions.encryption.noise },
      ],
    },
    counter(
      'spacedock_sessions_without_tls_total',
      'Direct sessions over Noise with a device that speaks TLS.',
      sessions.encryption.noiseForTls,
    ),
  ]
}

function ofMessages({ messages }: DaemonMetrics): Family[] {
  return [
    counter('spacedock_messages_sent_total', 'Messages accepted for another device.', messages.sent),
    counter(
      'spacedock_messages_delivered_total',
      'Messages acknowledged by another device.',
      messages.delivered,
    ),
    counter(
      'spacedock_messages_received_total',
      'Messages that arrived for the first time.',
      messages.received,
    ),
    counter('spacedock_messages_duplicate_total', 'Messages that arrived again.', messages.duplicate),
    counter('spacedock_messages_expired_total', 'Messages not sent in time.', messages.expired),
    counter(
      'spacedock_messages_dropped_total',
      'Messages that the inbox dropped because of its limits.',
      messages.dropped,
    ),
    gauge('spacedock_messages_queued', 'Messages that wait in the outbox now.', messages.queued),
  ]
}

function ofTheRest({ bytes, retries, pairings, defects }: DaemonMetrics, facts: ProcessFacts): Family[] {
  return [
    counter('spacedock_session_received_bytes_total', 'Bytes received on sessions.', bytes.received),
    counter('spacedock_session_sent_bytes_total', 'Bytes sent on sessions.', bytes.sent),
    counter(
      'spacedock_connection_retries_total',
      'Failed attempts to reach a device that are tried again.',
      retries.connections,
    ),
    counter(
      'spacedock_message_retries_total',
      'Messages handed over without an acknowledgement that are sent again.',
      retries.messages,
    ),
    {
      name: 'spacedock_pairings_total',
      type: 'counter',
      help: 'Pairings ended, by role of this device and outcome.',
      samples: Object.entries(pairings).flatMap(([role, outcomes]) =>
        Object.entries(outcomes).map(([outcome, value]) => ({ labels: { role, outcome }, value })),
      ),
    },
    counter('spacedock_defects_total', 'Exceptions that nobody caught and the daemon survived.', defects),
    gauge('spacedock_paired_devices', 'Paired devices.', facts.devices),
    {
      name: 'spacedock_build_info',
      type: 'gauge',
      help: 'Always 1; the label says which version runs.',
      samples: [{ labels: { version: facts.version }, value: 1 }],
    },
    gauge('process_start_time_seconds', 'Start of the process, in seconds since the epoch.', facts.startedAt),
    gauge('process_resident_memory_bytes', 'Resident memory in bytes.', facts.residentBytes),
    counter('process_cpu_seconds_total', 'User and system CPU time in seconds.', facts.cpuSeconds),
  ]
}

function counter(name: string, help: string, value: number): Family {
  return { name, type: 'counter', help, samples: [{ value }] }
}

function gauge(name: string, help: string, value: number): Family {
  return { name, type: 'gauge', help, samples: [{ value }] }
}

function byPath({ direct, relayed }: ByPath): Family['samples'] {
  return [
    { labels: { path: 'direct' }, value: direct },
    { labels: { path: 'relayed' }, value: relayed },
  ]
}

function format({ name, type, help, samples }: Family): string {
  const lines = samples.map(({ labels = {}, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
    return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`
  })
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n')
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
