/** Settings of which one makes another one useless; those of `createNode` and of the daemon. */
export interface ContradictableSettings {
  rendezvous?: readonly string[]
  announce?: readonly string[]
  interfaces?: readonly string[]
  lanOnly?: boolean
  dht?: 'private' | 'public'
  dhtBootstrap?: readonly string[]
  portMapping?: boolean
  port?: number
  metricsPort?: number
}

export interface Contradiction {
  /** One setting, or two that contradict each other. */
  settings: readonly (keyof ContradictableSettings)[]
  /** Sentence without its end. */
  why: string
}

/** Returns the first contradiction among settings that were given together, which nobody can have meant; null when there is none. */
export function findContradiction(given: ContradictableSettings): Contradiction | null {
  const found = contradictions.find(({ holds }) => holds(given))
  return found === undefined ? null : { settings: found.settings, why: found.why }
}

const contradictions: readonly (Contradiction & { holds: (given: ContradictableSettings) => boolean })[] = [
  {
    settings: ['lanOnly', 'rendezvous'],
    why: 'the local network alone has no rendezvous node',
    holds: ({ lanOnly, rendezvous = [] }) => lanOnly === true && rendezvous.some((each) => each !== 'none'),
  },
  {
    settings: ['lanOnly', 'dht'],
    why: 'the local network alone has no DHT',
    holds: ({ lanOnly, dht }) => lanOnly === true && dht === 'public',
  },
  {
    settings: ['lanOnly', 'portMapping'],
    why: 'on the local network alone nothing comes in through the router',
    holds: ({ lanOnly, portMapping }) => lanOnly === true && portMapping === true,
  },
  {
    settings: ['dhtBootstrap', 'dht'],
    why: 'by these addresses the public DHT is entered, and it is not used',
    holds: ({ dhtBootstrap = [], dht }) => dhtBootstrap.length > 0 && dht !== 'public',
  },
  {
    settings: ['port', 'metricsPort'],
    why: 'two things cannot listen at one port',
    holds: ({ port = 0, metricsPort }) => port !== 0 && port === metricsPort,
  },
  ...(['rendezvous', 'announce', 'interfaces'] as const).map((name) => ({
    settings: [name],
    why: `"${wordFor(name)}" stands alone`,
    holds: (given: ContradictableSettings) =>
      (given[name] ?? []).length > 1 && given[name]?.includes(wordFor(name)) === true,
  })),
]

/** Word by which a kept list is forgotten. */
function wordFor(name: 'rendezvous' | 'announce' | 'interfaces'): string {
  return name === 'interfaces' ? 'all' : 'none'
}
