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

function frames(pcap: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 24; at + 16 <= pcap.length;) {
    const next = at + 16 + pcap.readUInt32LE(at + 8)
    found.push(pcap.subarray(at + 16, next))
    at = next
  }
  return found
}

const udp = 17
