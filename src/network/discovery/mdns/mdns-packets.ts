import { randomBytes } from 'node:crypto'
import type multicastDns from 'multicast-dns'
import { marksBytes, type OwnMarks } from './mdns-marks.ts'

/**
 * DNS packets of libp2p's mDNS (https://github.com/libp2p/specs/blob/master/discovery/mdns.md), made and read.
 * Requirements of the other implementations on each field:
 * - rust-libp2p reads TXT records in the additional section only, js-libp2p in both, so that is where they go;
 * - go-libp2p drops a peer without SRV and address records, and keeps only the last TXT record: one, of many strings;
 * - rust-libp2p answers under a new random name each time, and leaves the service's name off it;
 * - js-libp2p takes a goodbye with TXT records for a sighting, so ours has none;
 * - nobody but us compresses, suppresses or splits: packets stay below 1,400 bytes.
 */

/** Packet as `multicast-dns` encodes it. */
export type Packet = Partial<multicastDns.FullPacket>
/** Packet as `multicast-dns` decodes it. */
export type DecodedPacket = Packet & { questions: Question[]; answers: Answer[]; additionals: Answer[] }
type Question = multicastDns.QueryOutgoingPacket['questions'][number]
type Answer = multicastDns.ResponseOutgoingPacket['answers'][number]

export const serviceName = '_p2p._udp.local'
/** Beginning of every TXT string that holds an address. */
export const textPrefix = 'dnsaddr='
const serviceListName = '_services._dns-sd._udp.local'

/** Lifetime of six minutes, as in rust-libp2p, which asks only every five. */
export const recordLifetimeSeconds = 360
export const maximumPacketBytes = 1_400

const maximumTextBytes = 255
const maximumPeersPerPacket = 32
const maximumTextsPerPeer = 32
const truncatedFlag = 1 << 9
const authoritativeFlag = 1 << 10

export interface KnownPeer {
  /** Service instance name of the peer, lower case: a random label, for most followed by the service's name. */
  name: string
  /** Remaining lifetime of the record. */
  ttlSeconds: number
}

/** An address to announce: the TXT string's multiaddr, and the parts for the SRV and A or AAAA records. */
export interface AnnouncedAddress {
  /** Multiaddr with /p2p/ at its end. */
  multiaddr: string
  family: 'ipv4' | 'ipv6'
  host: string
  port: number
}

export interface HeardPeer {
  name: string
  /** Lifetime of the record; 0 is a goodbye. */
  ttlSeconds: number
  /** TXT strings, unchecked. */
  texts: string[]
}

export type HeardPacket =
  | {
      kind: 'query'
      asksForPeers: boolean
      asksForServices: boolean
      /** Whether more known answers follow in the next packet. */
      truncated: boolean
      /** Known answers in the order of the packet. Ours begin with the sender itself, so that one knows whose packet it is. */
      known: KnownPeer[]
    }
  | { kind: 'response'; peers: HeardPeer[]; listsService: boolean }

/** Returns a new random name for this host; one for each start, so that nobody can follow a device by it. */
export function newInstanceName(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
  const label = Array.from(randomBytes(32), (byte) => alphabet.charAt(byte % alphabet.length)).join('')
  return `${label}.${serviceName}`
}

/** Encodes the query, in as many packets as the known answers need (RFC 6762, 7.1 and 7.2). Names are service instances. */
export function encodeQuery(ownName: string, known: KnownPeer[]): Packet[] {
  const self = pointer({ name: ownName, ttlSeconds: recordLifetimeSeconds })
  const room = maximumPacketBytes - headerBytes - nameBytes(serviceName) - 4 - answerBytes(self)
  const groups: Answer[][] = [[self]]
  let left = room
  for (const record of known.map(pointer)) {
    if (answerBytes(record) > left) {
      groups.push([self])
      left = room
    }
    groups.at(-1)?.push(record)
    left -= answerBytes(record)
  }
  return groups.map((answers, index) => ({
    type: 'query',
    flags: index < groups.length - 1 ? truncatedFlag : 0,
    questions: index === 0 ? [{ name: serviceName, type: 'PTR', class: 'IN' }] : [],
    answers,
  }))
}

/**
 * Encodes our records. Addresses beyond what fits one packet are left out, so the most useful come first; the marks are those of
 * what is left.
 */
export function encodeAnnouncement(
  ownName: string,
  addresses: AnnouncedAddress[],
  marks?: Pick<OwnMarks, 'text'>,
): Packet | undefined {
  const [first] = addresses
  if (first === undefined) return undefined
  const name = ownName
  const target = `${ownName.split('.')[0]}.local`
  const common = { ttl: recordLifetimeSeconds, class: 'IN' as const }
  const answers = [pointer({ name: ownName, ttlSeconds: recordLifetimeSeconds })]
  const service: Answer = { name, type: 'SRV', ...common, data: { target, port: first.port } }
  const texts: string[] = []
  const hosts: Answer[] = []
  let left = maximumPacketBytes - headerBytes - nameBytes(name) - 12 - marksBytes
  for (const record of [...answers, service]) left -= answerBytes(record)
  for (const { multiaddr, family, host } of addresses) {
    const text = `${textPrefix}${multiaddr}`
    const record: Answer = { name: target, type: family === 'ipv4' ? 'A' : 'AAAA', ...common, data: host }
    const bytes = text.length + 1 + answerBytes(record)
    if (text.length > maximumTextBytes || bytes > left) continue
    left -= bytes
    texts.push(text)
    hosts.push(record)
  }
  const said = texts.map((each) => each.slice(textPrefix.length))
  const data = marks === undefined ? texts : [...texts, marks.text(said)]
  const text: Answer = { name, type: 'TXT', ...common, data }
  return { type: 'response', flags: authoritativeFlag, answers, additionals: [text, service, ...hosts] }
}

/** Encodes our goodbye (RFC 6762, 10.1). */
export function encodeGoodbye(ownName: string): Packet {
  return { type: 'response', flags: authoritativeFlag, answers: [pointer({ name: ownName, ttlSeconds: 0 })] }
}

/** Encodes the answer to "which services are there?" (RFC 6763, 9), which the libp2p specification asks for. */
export function encodeServiceList(): Packet {
  const data = serviceName
  const answer: Answer = { name: serviceListName, type: 'PTR', class: 'IN', ttl: recordLifetimeSeconds, data }
  return { type: 'response', flags: authoritativeFlag, answers: [answer] }
}

/** Reads what a packet says about libp2p peers, and skips everything else. Its content is anybody's invention. */
export function readPacket(packet: DecodedPacket): HeardPacket {
  const { answers } = packet
  if (packet.type !== 'response') {
    const questions = packet.questions.filter(({ type }) => type === 'PTR' || isAny(type))
    return {
      kind: 'query',
      asksForPeers: questions.some(({ name }) => name.toLowerCase() === serviceName),
      asksForServices: questions.some(({ name }) => name.toLowerCase() === serviceListName),
      truncated: ((packet.flags ?? 0) & truncatedFlag) !== 0,
      known: answers.flatMap(readPointer),
    }
  }
  const records = [...answers, ...packet.additionals]
  return {
    kind: 'response',
    peers: answers
      .flatMap(readPointer)
      .slice(0, maximumPeersPerPacket)
      .map((peer) => ({ ...peer, texts: textsOf(peer.name, records) })),
    listsService: answers.some(
      ({ name, type, ...rest }) =>
        type === 'PTR' &&
        name.toLowerCase() === serviceListName &&
        'data' in rest &&
        rest.data === serviceName,
    ),
  }
}

/** Label of plain characters only: a stranger's name is sent on in our queries, and must not be able to break them. */
const plainName = /^[a-z0-9_-]{1,63}(\._p2p\._udp\.local)?$/

function readPointer(answer: Answer): KnownPeer[] {
  if (answer.type !== 'PTR' || answer.name.toLowerCase() !== serviceName) return []
  const name = answer.data.toLowerCase()
  return plainName.test(name) ? [{ name, ttlSeconds: answer.ttl ?? 0 }] : []
}

function textsOf(peerName: string, records: Answer[]): string[] {
  const texts = records.flatMap((record) => {
    if (record.type !== 'TXT' || record.name.toLowerCase() !== peerName) return []
    return Array.isArray(record.data) ? record.data : [record.data]
  })
  return [...new Set(texts.slice(0, maximumTextsPerPeer * 2).map(String))].slice(0, maximumTextsPerPeer)
}

/** Whether the type is ANY, which the decoder knows and its types do not. */
function isAny(type: string): boolean {
  return type === 'ANY'
}

function pointer({ name, ttlSeconds }: KnownPeer): Answer {
  return { name: serviceName, type: 'PTR', class: 'IN', ttl: ttlSeconds, data: name }
}

const headerBytes = 12

function nameBytes(name: string): number {
  return name.length + 2
}

/** Size on the wire of the record types made above, all of plain ASCII names. */
function answerBytes(answer: Answer): number {
  const fixed = nameBytes(answer.name) + 10
  if (answer.type === 'PTR') return fixed + nameBytes(answer.data)
  if (answer.type === 'SRV') return fixed + 6 + nameBytes(answer.data.target)
  return fixed + (answer.type === 'A' ? 4 : 16)
}
