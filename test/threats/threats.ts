import type { Threat } from './threat.ts'

/** Where the attacks are; a file exports those of one kind. */
const groups = [
  'strangers',
  'thieves',
  'tries',
  'roles',
  'claims',
  'replays',
  'races',
  'machines',
  'deadlines',
  'oracle',
  'times',
  'codes',
  'floods',
  'neighbours',
  'crowds',
  'access',
  'revocations',
  'limits',
  'memory',
  'byte-streams',
  'storage',
  'timing',
  'texts',
  'local-users',
  'secrets',
  'crashes',
  'decoders',
  'dht',
  'private-dht',
  'relay',
  'presence',
  'answers',
  'tracking',
  'boxes',
  'clocks',
  'full-disks',
  'middle',
  'copies',
  'people',
  'tls',
] as const

/** A threat, and where a process of its own finds it again. */
export interface Listed {
  threat: Threat
  group: string
  index: number
}

/** In the order of the table. */
export async function listThreats(): Promise<Listed[]> {
  const all = await Promise.all(
    groups.map(async (group) => {
      const threats = await threatsOf(group)
      return threats.map((threat, index) => ({ threat, group, index }))
    }),
  )
  return all.flat().toSorted((a, b) => a.threat.row - b.threat.row)
}

export async function threatsOf(group: string): Promise<readonly Threat[]> {
  const { threats } = (await import(`./${group}.ts`)) as { threats: readonly Threat[] }
  return threats
}
