import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import type { LogLevel, MessageLimits } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { fileError } from '../file-errors.ts'
import { defaultLogLevel, logLevels } from './log.ts'

/**
 * Settings given once when the daemon was started, for later starts too: `config.json` in the data directory.
 *
 *     { "interfaces": ["eth0"], "port": 4001, "rendezvous": ["/dns4/meet.example.org/tcp/4111/p2p/12D3KooW..."],
 *       "messages": { "inboxMessages": 1000, "inboxDays": 30, "outboxDays": 90 } }
 *
 * All of it is optional. The device's name is not here: the node keeps it.
 */
export interface DaemonConfig {
  interfaces?: string[]
  port?: number
  /** Multiaddrs under which others reach this device besides. */
  announce?: string[]
  /** Whether to ask the router to pass connections on. */
  portMapping?: boolean
  /** Multiaddrs of rendezvous nodes. */
  rendezvous?: string[]
  /** Use none of them, and no DHT. */
  lanOnly?: boolean
  dht?: 'private' | 'public'
  /** Multiaddrs by which the public DHT is entered, instead of libp2p's. Set only by editing the file. */
  dhtBootstrap?: string[]
  /** Whether to be found, and to find others, by multicast DNS. */
  mdns?: boolean
  logLevel?: LogLevel
  /** TCP port of the loopback interface. */
  metricsPort?: number
  /** Limits of the boxes. Set only by editing the file. */
  messages?: MessageLimits
}

export async function readConfig(dataDir: string): Promise<DaemonConfig> {
  const path = configPath(dataDir)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if (isMissing(cause)) return {}
    throw new SpacedockError('directory-unusable', `The configuration ${path} cannot be read.`, {
      hint: 'Correct its owner and mode (0600), or delete it; it only holds settings of "spacedock up".',
      cause,
    })
  }
  try {
    return v.parse(configSchema, JSON.parse(text))
  } catch (cause) {
    throw new SpacedockError(
      'directory-unusable',
      `The configuration ${path} is damaged: ${reason(cause)}.`,
      {
        hint: `Correct or delete it; it only holds ${settingNames()}.`,
        cause,
      },
    )
  }
}

/** Replaces the file as a whole: a crash leaves the old one or the new one. */
export async function writeConfig(dataDir: string, config: DaemonConfig): Promise<void> {
  const path = configPath(dataDir)
  const temporary = `${path}.new`
  try {
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.writeFile(`${JSON.stringify(config)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (cause) {
    throw fileError(cause, dataDir) ?? cause
  }
}

/**
 * Merges the settings given now over the kept ones. `all` interfaces, port 0, the rendezvous node and the announced address
 * `none`, the private DHT, port mapping, multicast DNS and the log level `info` mean: forget the setting. A start with rendezvous
 * nodes or a DHT does not want the local network alone any more.
 */
export function mergeConfig(kept: DaemonConfig, given: DaemonConfig): DaemonConfig {
  const merged = { ...kept, ...given }
  const {
    interfaces,
    port,
    announce,
    portMapping,
    rendezvous,
    dht,
    dhtBootstrap,
    mdns,
    logLevel,
    metricsPort,
    messages,
  } = merged
  const lanOnly = given.lanOnly ?? (given.rendezvous === undefined && given.dht === undefined && kept.lanOnly)
  return {
    ...(rendezvous === undefined || rendezvous.length === 0 || rendezvous.includes('none')
      ? {}
      : { rendezvous }),
    ...(announce === undefined || announce.length === 0 || announce.includes('none') ? {} : { announce }),
    ...(portMapping === false ? { portMapping } : {}),
    ...(lanOnly === true ? { lanOnly } : {}),
    ...(dht === 'public' ? { dht } : {}),
    ...(dhtBootstrap === undefined ? {} : { dhtBootstrap }),
    ...(mdns === false ? { mdns } : {}),
    ...(interfaces === undefined || interfaces.length === 0 || interfaces.includes('all')
      ? {}
      : { interfaces }),
    ...(port === undefined || port === 0 ? {} : { port }),
    ...(logLevel === undefined || logLevel === defaultLogLevel ? {} : { logLevel }),
    ...(metricsPort === undefined || metricsPort === 0 ? {} : { metricsPort }),
    ...(messages === undefined ? {} : { messages }),
  }
}

export function sameConfig(one: DaemonConfig, other: DaemonConfig): boolean {
  return canonical(one) === canonical(other)
}

function canonical(config: DaemonConfig): string {
  const {
    interfaces = [],
    port,
    announce = [],
    portMapping = true,
    rendezvous = [],
    lanOnly = false,
    dht,
    dhtBootstrap = [],
    mdns = true,
    logLevel,
    metricsPort,
    messages,
  } = config
  return JSON.stringify([
    interfaces,
    port,
    announce,
    portMapping,
    rendezvous,
    lanOnly,
    dht,
    dhtBootstrap,
    mdns,
    logLevel,
    metricsPort,
    messages,
  ])
}

const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535))
const wholeNumber = v.pipe(v.number(), v.integer(), v.minValue(1))
const days = v.pipe(v.number(), v.gtValue(0))
const settings = v.strictObject({
  interfaces: v.exactOptional(v.array(v.pipe(v.string(), v.nonEmpty()))),
  port: v.exactOptional(port),
  announce: v.exactOptional(v.array(v.pipe(v.string(), v.nonEmpty()))),
  portMapping: v.exactOptional(v.boolean()),
  rendezvous: v.exactOptional(v.array(v.pipe(v.string(), v.nonEmpty()))),
  lanOnly: v.exactOptional(v.boolean()),
  dht: v.exactOptional(v.picklist(['private', 'public'])),
  dhtBootstrap: v.exactOptional(v.pipe(v.array(v.pipe(v.string(), v.nonEmpty())), v.minLength(1))),
  mdns: v.exactOptional(v.boolean()),
  logLevel: v.exactOptional(v.picklist(logLevels)),
  metricsPort: v.exactOptional(port),
  messages: v.exactOptional(
    v.strictObject({
      inboxMessages: v.exactOptional(wholeNumber),
      inboxBytes: v.exactOptional(wholeNumber),
      inboxFull: v.exactOptional(v.picklist(['wait', 'drop-oldest'])),
      inboxDays: v.exactOptional(days),
      outboxDays: v.exactOptional(days),
    }),
  ),
})

const configSchema = v.pipe(
  v.custom<object>((value) => !Array.isArray(value), 'it is a list'), // an array would pass as an object
  settings,
)

function settingNames(): string {
  const names = Object.keys(settings.entries).map((name) => `"${name}"`)
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

function configPath(dataDir: string): string {
  return join(dataDir, 'config.json')
}

function reason(cause: unknown): string {
  if (!v.isValiError(cause)) return 'it is not JSON'
  const [issue] = cause.issues
  const where = v.getDotPath(issue)
  return where === null ? 'it holds no settings' : `its "${where}" makes no sense`
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
}
