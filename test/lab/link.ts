import { setTimeout as wait } from 'node:timers/promises'
import { silenceRule } from './firewall.ts'
import { ip, nft } from './namespace.ts'

interface CableEnd {
  namespace: string
  name: string
}

/** A cable between a host and its LAN. Addresses and routes stay through all of it. */
export class Link {
  readonly #host: CableEnd
  readonly #bridge: CableEnd

  constructor(host: CableEnd, bridge: CableEnd) {
    this.#host = host
    this.#bridge = bridge
  }

  /** Pulls the plug: the host sees at once that the carrier is gone. */
  async cut(): Promise<void> {
    await ip(this.#bridge.namespace, [`link set ${this.#bridge.name} down`])
    await awaitCarrier(this.#host, 'down')
  }

  /** Loses every packet from now on, both ways; neither side is told. */
  async drop(): Promise<void> {
    await nft(this.#bridge.namespace, silenceRule('add', this.#bridge.name))
  }

  /** Ends `cut` and `drop`. */
  async heal(): Promise<void> {
    // Added first, because deleting what is not there is an error.
    const { name } = this.#bridge
    await nft(this.#bridge.namespace, silenceRule('add', name) + silenceRule('delete', name))
    await ip(this.#bridge.namespace, [`link set ${name} up`])
    await awaitConnected(this.#host, this.#bridge)
  }
}

/** Resolves when frames pass, right from the first. */
export async function awaitConnected(host: CableEnd, bridge: CableEnd): Promise<void> {
  await awaitCarrier(host, 'up')
  await awaitForwarding(bridge)
}

/** What is plugged into a bridge is a part of it from then on. */
export async function awaitForwarding(bridge: CableEnd): Promise<void> {
  await awaitState(bridge, ' state forwarding ')
}

/** The kernel tells programs of a change of carrier a little later than it happens. */
export async function awaitCarrier(end: CableEnd, wanted: 'up' | 'down'): Promise<void> {
  await awaitState(end, wanted === 'up' ? ' state UP ' : / state (LOWERLAYERDOWN|DOWN) /)
}

/** Waits until `ip` shows this for an interface. */
async function awaitState({ namespace, name }: CableEnd, wanted: string | RegExp): Promise<void> {
  const deadline = performance.now() + 10_000
  for (;;) {
    const shown = await ip(namespace, [`link show dev ${name}`])
    if (shown.search(wanted) !== -1) return
    if (performance.now() > deadline)
      throw new Error(`${name} in ${namespace} does not become${String(wanted)}`)
    await wait(10)
  }
}
