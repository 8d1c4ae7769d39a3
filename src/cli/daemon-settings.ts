import { type Contradiction, findContradiction } from '../contradictions.ts'
import { logLevels } from '../daemon/log.ts'
import type { DaemonSettings } from '../daemon/process.ts'
import { SpacedockError } from '../errors.ts'
import type { GivenOptions } from './given-options.ts'

/** Reads the settings of this command line for the daemon's start. Throws `invalid-argument` when two of them contradict each other. */
export function daemonSettings(options: GivenOptions): DaemonSettings {
  const name = options.text('name')
  const interfaces = options.list('interface')
  const port = options.wholeNumber('port', 0, 65_535)
  const announce = options.list('announce')
  const portMapping = options.choice('port-mapping', ['on', 'off'])
  const rendezvous = options.list('rendezvous')
  const dht = options.choice('dht', ['private', 'public'])
  const mdns = options.choice('mdns', ['on', 'off'])
  const logLevel = options.choice('log-level', logLevels)
  const metricsPort = options.wholeNumber('metrics-port', 0, 65_535)
  const settings: DaemonSettings = {
    ...(name === undefined ? {} : { name }),
    ...(interfaces.length === 0 ? {} : { interfaces }),
    ...(port === undefined ? {} : { port }),
    ...(announce.length === 0 ? {} : { announce }),
    ...(portMapping === undefined ? {} : { portMapping: portMapping === 'on' }),
    ...(rendezvous.length === 0 ? {} : { rendezvous }),
    ...(options.flag('lan-only') ? { lanOnly: true } : {}),
    ...(dht === undefined ? {} : { dht }),
    ...(mdns === undefined ? {} : { mdns: mdns === 'on' }),
    ...(logLevel === undefined ? {} : { logLevel }),
    ...(metricsPort === undefined ? {} : { metricsPort }),
  }
  const found = findContradiction(settings)
  if (found !== null) throw contradiction(found)
  return settings
}

/** Returns the option of a setting, with its dashes. */
export function optionOf(setting: string): string {
  return `--${optionNames[setting] ?? setting}`
}

/** Options that are not called like their settings. */
const optionNames: Record<string, string> = {
  interfaces: 'interface',
  lanOnly: 'lan-only',
  portMapping: 'port-mapping',
  logLevel: 'log-level',
  metricsPort: 'metrics-port',
}

function contradiction({ settings, why }: Contradiction): SpacedockError {
  const options = settings.map(optionOf).join(' and ')
  const message =
    settings.length === 1
      ? `The values of ${options} contradict each other: ${why}.`
      : `The options ${options} contradict each other: ${why}.`
  return new SpacedockError('invalid-argument', message, { hint: 'Leave one of them out.' })
}
