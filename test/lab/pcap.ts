/** A UDP packet of a capture. */
export interface UdpPacket {
  /** The sender's Ethernet address, which is the same for all its IP addresses. */
  sender: string
  destinationPort: number
}

/** Reads what `capture` returns: pcap, little-endian, Ethernet frames (draft-ietf-opsawg-pcap). */
export function udpPackets(pcap: Buffer): UdpPacket[] {
  return frames(pcap).flatMap((frame) => {
    const type = frame.readUInt16BE(12)
    const ip = frame.subarray(14)
    const isUdp = type === 0x0800 ? ip[9] === udp : type === 0x86dd && ip[6] === udp
    if (!isUdp) return []
    const headerBytes = type === 0x0800 ? ((ip[0] ?? 0) & 0x0f) * 4 : 40
    return [
      { sender: frame.toString('hex', 6, 12), destinationPort: ip.subarray(headerBytes).readUInt16BE(2) },
    ]
  })
}

/** Over IPv4, how many TCP connections to this address somebody began to open. */
export function tcpOpens(pcap: Buffer, address: string): number {
  const target = Buffer.from(address.split('.').map(Number))
  const opened = new Set<string>()
  for (const frame of frames(pcap)) {
    if (frame.readUInt16BE(12) !== 0x0800) continue
    const ip = frame.subarray(14)
    if (ip[9] !== tcp || !ip.subarray(16, 20).equals(target)) continue
    const segment = ip.subarray(((ip[0] ?? 0) & 0x0f) * 4)
    const isSyn = ((segment[13] ?? 0) & 0x12) === 0x02
    if (isSyn)
      opened.add(`${ip.toString('hex', 12, 16)} ${segment.readUInt16BE(0)} ${segment.readUInt16BE(2)}`)
  }
  return opened.size
}

function frames(pcap: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 24; at + 16 <= pcap.length;) {
    const next = at + 16 + pcap.readUInt32LE(at + 8)
    found.push(pcap.subarray(at + 16, next))
    at = next
  }
  return found
}

const tcp = 6
const udp = 17
