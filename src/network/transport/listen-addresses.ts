import { networkInterfaces } from 'node:os'
import { multiaddr } from '@multiformats/multiaddr'
import { SpacedockError } from '../../errors.ts'
import { usableInterfaces } from '../interfaces.ts'
import { checkPort } from './listen-port.ts'

export interface ListenOptions {
  port: number
  /** Interfaces to listen on. @default all */
  interfaces?: string[] | undefined
}

/** Builds the listen addresses. Rejects with `port-taken`, `no-network` or `invalid-argument`. */
export async function listenAddresses({ port, interfaces }: ListenOptions): Promise<string[]> {
  const hosts = interfaces === undefined ? wildcards() : addressesOf(interfaces)
  if (hosts.length === 0) throw noNetwork(interfaces)
  for (const host of hosts) {
    const state = await checkPort(port, host)
    if (state !== 'free') throw portUnusable(port, state)
  }
  return hosts.map((host) => `/${host.includes(':') ? 'ip6' : 'ip4'}/${host}/tcp/${port}`)
}

/** Counts the addresses that are in use by now, out of some that were free: by this host, unless another program was faster. */
export async function countTaken(listen: readonly string[]): Promise<number> {
  const states = listen.map(async (address) => {
    const [host, port] = multiaddr(address).getComponents()
    return checkPort(Number(port?.value), host?.value ?? '')
  })
  return (await Promise.all(states)).filter((state) => state === 'taken').length
}

function wildcards(): string[] {
  return usableInterfaces().length > 0 ? ['0.0.0.0', '::'] : []
}

function noNetwork(names: string[] | undefined): SpacedockError {
  const usable = usableInterfaces({ names: Object.keys(networkInterfaces()) }).map(({ name }) => name)
  if (names === undefined || usable.length === 0) {
    return new SpacedockError('no-network', 'No network interface of this device is up.', {
      hint: 'Connect it to a network, then try again.',
    })
  }
  return new SpacedockError('no-network', `No network interface called ${names.join(' or ')} is up.`, {
    hint: `Connect it to a network, or name one of these: ${usable.join(', ')}.`,
    option: 'interfaces',
    choices: usable,
  })
}

export function portUnusable(port: number, state: 'taken' | 'forbidden'): SpacedockError {
  if (state === 'forbidden') {
    return new SpacedockError(
      'invalid-argument',
      `Port ${port} is only for administrators of this machine.`,
      {
        hint: 'Give another one, from 1024 on.',
        option: 'port',
      },
    )
  }
  return new SpacedockError('port-taken', `Port ${port} is in use by another program.`, {
    hint: 'Give another one, or stop the program that uses it.',
    option: 'port',
  })
}

function addressesOf(names: string[]): string[] {
  return usableInterfaces({ names }).flatMap(({ ipv4, ipv6 }) => [
    ...ipv4,
    // Link-local addresses work only with their zone, which a listener cannot announce.
    ...ipv6.filter((address) => !address.toLowerCase().startsWith('fe80')),
  ])
}
