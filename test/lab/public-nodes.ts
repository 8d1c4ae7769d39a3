import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Host, Lab, Lan } from './lab.ts'
import { ip } from './namespace.ts'
import { runProcess, type RunningProcess } from './process.ts'
import { installMissing } from './requirements.ts'

export interface PublicNodesOptions {
  /** @default 20 */
  nodes?: number
  /** How many of them are relays. @default all */
  relays?: number
  /** How many more there are, each a relay on a host of its own, with a cable of its own. @default 0 */
  apart?: number
  /** How long a relayed connection may live. @default go-libp2p's two minutes */
  relaySeconds?: number
}

/** A node that can be killed, or cut off, by itself. */
export interface NodeApart {
  /** IPv4. */
  address: string
  /** Base58btc. */
  peer: string
  host: Host
  process: RunningProcess
}

/** Unmodified go-libp2p nodes, as the public network has them, in networks that count as public. */
export interface PublicNodes {
  /** The segment that stands for the internet: 20.0.0.0/8 and 2a02:6400::/32. */
  internet: Lan
  host: Host
  process: RunningProcess
  apart: NodeApart[]
  /** IPv4 addresses of all of them. */
  addresses: string[]
  /** Multiaddrs by which a device enters. */
  bootstrap: string[]
  /** Base58btc ids of all that have been connected to one of the nodes. */
  seenPeers: () => Set<string>
}

/** Resolves when the nodes know each other. The program is built first, where that was not done yet. */
export async function publicNodes(
  lab: Lab,
  { nodes = 20, relays, apart = 0, relaySeconds }: PublicNodesOptions = {},
): Promise<PublicNodes> {
  const program = await buildPublicNode()
  const internet = await lab.lan('internet', { ipv4: '20.0.0.0/8', ipv6: '2a02:6400::/32' })
  const host = await lab.host('public', [internet])
  const hosts: Host[] = []
  for (let index = 0; index < apart; index++) hosts.push(await lab.host(`public-${index}`, [internet]))
  const own = [host, ...hosts].map((each) => `${each.address(internet)}/32`)
  const options = [
    `-own=${[...own, internet.ipv6 ?? ''].join()}`,
    ...(relaySeconds === undefined ? [] : [`-relay-seconds=${relaySeconds}`]),
  ]
  const addresses = Array.from({ length: nodes + apart }, (_, index) => nodeAddress(index))
  const start = async (on: Host, these: readonly NodeAddress[], more: string[]): Promise<RunningProcess> => {
    const name = on.interfaceName(internet)
    await ip(
      on.namespace,
      these.flatMap(({ ipv4, ipv6 }) => [
        `address add ${ipv4}/8 dev ${name}`,
        `address add ${ipv6}/32 dev ${name} nodad`,
      ]),
    )
    const listen = these.map(({ ipv4, ipv6 }) => `/ip4/${ipv4}/tcp/4001,/ip6/${ipv6}/tcp/4001`)
    const running = on.spawn([program, ...options, ...more, ...listen])
    await running.line((line) => line.includes('"ready"'), { deadlineMs: 60_000 })
    return running
  }
  const together = addresses.slice(0, nodes)
  const process = await start(host, together, relays === undefined ? [] : [`-relays=${relays}`])
  const bootstrap = events(process, 'listening')
    .flatMap((event) => event.addresses ?? [])
    .slice(0, 6)
  const alone = await Promise.all(
    hosts.map(async (each, index): Promise<NodeApart> => {
      const address = addresses[nodes + index] as NodeAddress
      const running = await start(each, [address], [`-bootstrap=${bootstrap.join()}`])
      const peer = events(running, 'listening')[0]?.peer ?? ''
      return { address: address.ipv4, peer, host: each, process: running }
    }),
  )
  const all = [process, ...alone.map((each) => each.process)]
  const seenPeers = (): Set<string> =>
    new Set(all.flatMap((each) => events(each, 'peer').map(({ peer }) => peer)))
  return {
    internet,
    host,
    process,
    apart: alone,
    addresses: addresses.map(({ ipv4 }) => ipv4),
    bootstrap,
    seenPeers,
  }
}

interface NodeAddress {
  ipv4: string
  ipv6: string
}

/** Each in a network of its own, as those of many people are: Kademlia's tables take few from one network. */
function nodeAddress(index: number): NodeAddress {
  return { ipv4: `20.${index + 10}.7.1`, ipv6: `2a02:6400:${(index + 16).toString(16)}::1` }
}

interface NodeEvent {
  event: string
  peer: string
  addresses?: string[]
}

function events(process: RunningProcess, event: string): NodeEvent[] {
  return process
    .lines('stdout')
    .map((line) => JSON.parse(line) as NodeEvent)
    .filter((each) => each.event === event)
}

/** Why the nodes cannot be built here, in one sentence; false when they can. */
export async function whyNoPublicNodes(): Promise<string | false> {
  const missing = await installMissing({ go: 'golang-go' }, 'The public nodes')
  if (missing.length === 0) return false
  const sentence = `The public nodes cannot be built: ${missing.join(', ')} could not be installed.`
  console.error(sentence)
  if (process.env['CI'] !== undefined && process.env['CI'] !== '') process.exit(1)
  return sentence
}

let built: Promise<string> | undefined

/** Go's own cache makes this a matter of a moment the second time. */
async function buildPublicNode(): Promise<string> {
  built ??= build()
  return built
}

async function build(): Promise<string> {
  const module = fileURLToPath(new URL('../../interop/go', import.meta.url))
  const program = fileURLToPath(new URL('../../node_modules/.cache/interop/go/public-node', import.meta.url))
  await mkdir(dirname(program), { recursive: true })
  const command = ['go', 'build', '-o', program, './cmd/public-node']
  const { code, stderr } = await runProcess(command, { cwd: module, deadlineMs: 900_000 })
  if (code !== 0) throw new Error(`The public nodes do not build:\n${stderr}`)
  return program
}
