import { blockadeRules, hostRules } from './firewall.ts'
import type { FirewallOptions } from './firewall.ts'
import type { CableOptions } from './cable.ts'
import type { Lan, Route, Socket } from './lan.ts'
import { Link, awaitCarrier, awaitConnected } from './link.ts'
import { createNamespace, ip, nft, sysctl } from './namespace.ts'
import { RunningProcess } from './process.ts'
import type { Finished, Place, RunOptions, SpawnOptions } from './process.ts'

export interface DeadVpnOptions {
  /** @default '10.250.0.2/24' */
  address?: string
  /** Whether it takes the default route, ahead of any other. @default true */
  defaultRoute?: boolean
}

interface Interface extends Socket {
  /** eth0, eth1, ... in the order of plugging in. */
  name: string
}

/** A machine of the lab: a network namespace with a cable to each of its LANs. */
export class Host implements Place {
  readonly name: string
  readonly namespace: string
  readonly #interfaces = new Map<Lan, Interface>()
  readonly #processes = new Set<RunningProcess>()

  constructor(name: string, namespace: string) {
    this.name = name
    this.namespace = namespace
  }

  async start(lans: readonly Lan[], cable?: CableOptions): Promise<void> {
    await createNamespace(this.namespace)
    for (const lan of lans) await this.addInterface(lan, cable)
  }

  /** Plugs a new cable in, usable when this resolves. Returns the interface's name. */
  async addInterface(lan: Lan, cable?: CableOptions): Promise<string> {
    if (this.#interfaces.has(lan)) throw new Error(`${this.name} is already on ${lan.name}`)
    const added = { ...lan.nextSocket(), name: `eth${this.#interfaces.size}` }
    this.#interfaces.set(lan, added)
    // When both ends of a cable happen to have one index, the kernel takes up to a second to notice that it is plugged in.
    const index = 1000 + this.#interfaces.size
    await ip(this.namespace, [
      `link add ${added.name} index ${index} type veth peer name ${added.port} netns ${lan.namespace}`,
      ...this.#addAddresses(added, lan),
      `link set ${added.name} up`,
    ])
    await lan.plug(added.port, cable)
    await awaitConnected(
      { namespace: this.namespace, name: added.name },
      { namespace: lan.namespace, name: added.port },
    )
    for (const route of lan.routes) await this.addRoute(lan, route)
    return added.name
  }

  /**
   * Pulls a cable out of one LAN and plugs it into another. The interface stays, and gets the address and the routes that
   * DHCP would give it there. The new cable is a short one.
   */
  async move(from: Lan, to: Lan): Promise<void> {
    if (this.#interfaces.has(to)) throw new Error(`${this.name} is already on ${to.name}`)
    const { name, port } = this.#on(from)
    const moved = { ...to.nextSocket(), name }
    this.#interfaces.delete(from)
    this.#interfaces.set(to, moved)
    await ip(from.namespace, [`link set ${port} netns ${to.namespace} name ${moved.port}`])
    await awaitCarrier({ namespace: this.namespace, name }, 'down')
    // Without its addresses, the routes of the old network are gone, too.
    await ip(this.namespace, [`address flush dev ${name} scope global`, ...this.#addAddresses(moved, to)])
    await to.plug(moved.port)
    await awaitConnected({ namespace: this.namespace, name }, { namespace: to.namespace, name: moved.port })
    for (const route of to.routes) await this.addRoute(to, route)
  }

  /** As when a DHCP server hands out another one; IPv4. */
  async changeAddress(lan: Lan, address: string): Promise<void> {
    const socket = this.#on(lan)
    const length = lengthOf(lan.ipv4)
    await ip(this.namespace, [
      `address del ${socket.ipv4}/${length} dev ${socket.name}`,
      `address add ${address}/${length} brd + dev ${socket.name}`,
    ])
    socket.ipv4 = address
    for (const route of lan.routes) await this.addRoute(lan, route)
  }

  isOn(lan: Lan): boolean {
    return this.#interfaces.has(lan)
  }

  /** Its address on that LAN. */
  address(lan: Lan, family: 'ipv4' | 'ipv6' = 'ipv4'): string {
    const address = this.#on(lan)[family]
    if (address === null) throw new Error(`${lan.name} has no ${family} addresses`)
    return address
  }

  interfaceName(lan: Lan): string {
    return this.#on(lan).name
  }

  /** Its cable to that LAN. */
  link(lan: Lan): Link {
    const { name, port } = this.#on(lan)
    return new Link({ namespace: this.namespace, name }, { namespace: lan.namespace, name: port })
  }

  /** The first interface's routes win over the second's, and so on. */
  async addRoute(lan: Lan, { to, via }: Route): Promise<void> {
    const { name, ipv4, ipv6 } = this.#on(lan)
    if (via === ipv4 || via === ipv6) return
    const metric = 100 + Number(name.slice('eth'.length))
    await ip(this.namespace, [`route replace ${to} via ${via} dev ${name} metric ${metric}`])
  }

  /** The host's own firewall; replaces the one before, so `{}` opens everything. */
  async firewall(options: FirewallOptions): Promise<void> {
    await nft(this.namespace, hostRules(options))
  }

  /** As a router, passes nothing on to or from these addresses; replaces those of before. */
  async blockForwarding(addresses: readonly string[]): Promise<void> {
    await nft(this.namespace, blockadeRules(addresses))
  }

  /** An interface that looks alive, has an address and attracts traffic, and swallows all of it. */
  async deadVpn(name: string, options: DeadVpnOptions = {}): Promise<void> {
    const { address = '10.250.0.2/24', defaultRoute = true } = options
    // A tun device that no program reads has no carrier, so programs would not see it as up: a cable into an empty
    // namespace has one. Without ARP the packets leave at once instead of failing for want of a neighbour.
    const nowhere = `${this.namespace}-${name}`
    await createNamespace(nowhere)
    await sysctl(nowhere, { 'net/ipv6/conf/default/disable_ipv6': 1 })
    await ip(this.namespace, [
      `link add ${name} type veth peer name end netns ${nowhere}`,
      `address add ${address} dev ${name}`,
      `link set ${name} arp off up`,
    ])
    await ip(nowhere, ['link set end up'])
    await awaitCarrier({ namespace: this.namespace, name }, 'up')
    if (defaultRoute) await ip(this.namespace, [`route replace default dev ${name} metric 10`])
  }

  /** Runs a command on this host to its end. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const running = this.spawn(command, options)
    running.end(options.input ?? '')
    return await running.finished(options.deadlineMs)
  }

  /** Starts a command on this host; the end of the lab kills it. `node` is the Node that runs the tests. */
  spawn([file = '', ...args]: readonly string[], options: SpawnOptions = {}): RunningProcess {
    const program = file === 'node' ? process.execPath : file
    const running = new RunningProcess(['ip', 'netns', 'exec', this.namespace, program, ...args], options)
    this.#processes.add(running)
    const forget = (): void => {
      this.#processes.delete(running)
    }
    running.exited.then(forget, forget)
    return running
  }

  /** Kills what `spawn` started and waits for its end. */
  async killAll(): Promise<void> {
    const processes = [...this.#processes]
    for (const running of processes) running.kill('SIGKILL')
    await Promise.allSettled(processes.map((running) => running.exited))
  }

  #addAddresses({ name, ipv4, ipv6 }: Interface, lan: Lan): string[] {
    return [
      ...(ipv4 === null ? [] : [`address add ${ipv4}/${lengthOf(lan.ipv4)} brd + dev ${name}`]),
      ...(ipv6 === null ? [] : [`address add ${ipv6}/${lengthOf(lan.ipv6)} dev ${name} nodad`]),
    ]
  }

  #on(lan: Lan): Interface {
    const found = this.#interfaces.get(lan)
    if (found === undefined) throw new Error(`${this.name} is not on ${lan.name}`)
    return found
  }
}

function lengthOf(prefix: string | null): string {
  return prefix?.split('/')[1] ?? ''
}
