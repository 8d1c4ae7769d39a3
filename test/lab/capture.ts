import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { markerBroadcast } from './lan.ts'
import type { Lan } from './lan.ts'
import { RunningProcess, runProcess } from './process.ts'

/** Ends the capture. Every frame that was on the LAN before the call is in the answer, a pcap file's bytes. */
export type StopCapture = () => Promise<Buffer>

/** Records every frame on a LAN from when this resolves; `file` gets a copy at the end. */
export async function capture(lan: Lan, file?: string): Promise<StopCapture> {
  const inside = ['ip', 'netns', 'exec', lan.namespace]
  const tcpdump = new RunningProcess(
    // -U and immediate mode: each packet is written when it comes. -Z: Debian's tcpdump would change its user.
    [...inside, 'tcpdump', '-i', 'br0', '-n', '-U', '--immediate-mode', '-Z', 'root', '-w', '-'],
  )
  await tcpdump.line((line) => line.includes('listening on'), { stream: 'stderr' })
  return async () => {
    // tcpdump forgets what it has not read yet when it is stopped. Frames come in order: once it has written a last
    // frame of ours, it has written all before it.
    const marker = randomBytes(32)
    await runProcess([
      ...inside,
      process.execPath,
      '--eval',
      sendMarker,
      marker.toString('hex'),
      markerBroadcast,
    ])
    await tcpdump.until(() => tcpdump.stdoutBytes().includes(marker) || undefined)
    await tcpdump.stop()
    const bytes = untilMarker(tcpdump.stdoutBytes(), marker)
    if (file !== undefined) await writeFile(file, bytes)
    return bytes
  }
}

const sendMarker = `
  const [marker, address] = process.argv.slice(1)
  const socket = require('node:dgram').createSocket('udp4')
  socket.bind(() => {
    socket.setBroadcast(true)
    socket.send(Buffer.from(marker, 'hex'), 9, address, () => socket.close())
  })
`

/** https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html: a header of 24 bytes, then records of 16 bytes and the frame. */
function untilMarker(pcap: Buffer, marker: Buffer): Buffer {
  let end = 24
  while (end + 16 <= pcap.length) {
    const next = end + 16 + pcap.readUInt32LE(end + 8)
    if (pcap.subarray(end, next).includes(marker)) break
    end = next
  }
  return pcap.subarray(0, end)
}
