import { isIP } from 'node:net'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { SpacedockError } from '../../errors.ts'
import { classOfIp } from './address-class.ts'

/** Parses an address announced by configuration, such as the router's when a port is forwarded. Throws `invalid-argument`. */
export function parseAnnouncedIp(text: string): Multiaddr {
  const address = parseAnnounced(text, '/ip4/20.3.4.5/tcp/4001')
  const [ip, , ...more] = address.getComponents()
  const kind = ip?.value === undefined || isIP(ip.value) === 0 ? null : classOfIp(ip.value)
  if (kind === null || more.length > 0) {
    // Other devices reject names: a name may resolve differently in their network.
    throw cannotBeAnnounced(text, 'Give an IP address and a port, such as /ip4/20.3.4.5/tcp/4001.')
  }
  if (['never', 'loopback', 'link-local', 'embedded'].includes(kind))
    throw cannotBeAnnounced(text, 'No other machine can reach this device there.')
  return address
}

/** Parses an announced address of a rendezvous node, which may have a name. `example`: for the hint. */
export function parseAnnounced(text: string, example: string): Multiaddr {
  try {
    const address = multiaddr(text)
    const [host, tcp] = address.getComponents()
    const isHost = host !== undefined && /^(?:ip[46]|dns[46]?)$/u.test(host.name)
    if (isHost && tcp?.name === 'tcp' && tcp.value !== '0') return address
  } catch {
    // Thrown below, with a hint.
  }
  throw cannotBeAnnounced(text, `It looks like ${example}.`)
}

function cannotBeAnnounced(text: string, hint: string): SpacedockError {
  return new SpacedockError('invalid-argument', `The address "${text.slice(0, 100)}" cannot be announced.`, {
    hint,
  })
}
