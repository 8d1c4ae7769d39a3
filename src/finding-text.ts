import type { ReachabilityFinding } from './api.ts'

/** Place where a finding is told: beside a code that is shown, where one is typed, or about a device that is paired. */
export type FindingPlace = 'pair' | 'join' | 'device'

/** Describes a finding in two sentences for a person: what happened, and what to do about it. */
export function describeFinding(
  finding: ReachabilityFinding,
  place: FindingPlace,
): { message: string; hint: string } {
  return finding.known === 'seen' ? ofSeen(finding, place) : ofAddress(finding, place)
}

/** Describes the cause in a few words, as a part of a sentence: `TCP port 28417 at 192.168.1.20 does not answer`. @internal */
export function describeCause(finding: ReachabilityFinding): string {
  return `TCP port ${finding.port} at ${hostOf(finding)} ${behaviours[finding.cause]}`
}

const behaviours: Record<ReachabilityFinding['cause'], string> = {
  'no-answer': 'does not answer',
  refused: 'refuses connections',
  unreachable: 'cannot be reached',
  reset: 'cuts connections off',
}

function ofSeen(finding: ReachabilityFinding, place: FindingPlace): { message: string; hint: string } {
  const { name, port, cause } = finding
  const host = hostOf(finding)
  const there = `TCP port ${port} there ${behaviours[cause]}`
  const who = name === null ? 'A device' : `"${name}"`
  const opening = openPorts(finding)
  switch (place) {
    case 'join':
      return {
        message: `${who} is on this network at ${host}, but ${there}: a firewall on it is likely.`,
        hint: `If the code is shown there, ${opening}.`,
      }
    case 'pair':
      return {
        message: `${who} at ${host} is looking for a device to pair with, but does not get in here, and ${there}: firewalls on both are likely.`,
        hint: `If the words are typed there, ${opening}.`,
      }
    case 'device':
      return {
        message: `It is on this network at ${host}, but ${there}: a firewall on it is likely.`,
        hint: `${opening.charAt(0).toUpperCase()}${opening.slice(1)}.`,
      }
  }
}

/**
 * Describes a finding about a device that nobody has seen: the address may be out of date, and it may not know how to get here.
 */
function ofAddress(finding: ReachabilityFinding, place: FindingPlace): { message: string; hint: string } {
  const { port, cause, known } = finding
  const swap =
    place === 'join'
      ? 'show the code here and type the words there'
      : 'type the words here and show the code there'
  if (known === 'published') {
    return {
      message: `The device that shows the code was found, but ${describeCause(finding)}: a firewall or a router is likely in between.`,
      hint: `Allow incoming connections to TCP port ${port} there; or ${swap}.`,
    }
  }
  const why =
    cause === 'refused'
      ? 'Spacedock does not run there, or a firewall is in between'
      : 'a firewall is likely in between'
  return {
    message: `${describeCause(finding)}: ${why}.`,
    hint: `Check the address, and allow incoming connections to TCP port ${port} there; or ${swap}.`,
  }
}

/** Names the ports to open: one of the two is enough, because either side may dial. */
function openPorts({ port, ownPort }: ReachabilityFinding): string {
  if (ownPort === port) return `allow incoming connections to TCP port ${port} on either of the two`
  const here = ownPort === null ? '' : `, or to TCP port ${ownPort} here`
  return `allow incoming connections to TCP port ${port} there${here}`
}

/** Takes the host out of an address: `/ip6zone/eth0/ip6/fe80::1/tcp/4001` -> `fe80::1` */
function hostOf({ address }: ReachabilityFinding): string {
  return /\/(?:ip4|ip6|dns4|dns6|dns|dnsaddr)\/(?<host>[^/]+)/u.exec(address)?.groups?.['host'] ?? address
}
