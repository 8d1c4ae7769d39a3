import type { Host } from './lab.ts'
import type { RunningProcess } from './process.ts'

/** Small programs for the lab's hosts, which show what its network does. */

export interface Seen {
  address: string
  port: number
}

/** Serves until the lab ends, and tells every client its address; resolves when it listens. */
export async function listenTcp(host: Host, address: string, port: number): Promise<void> {
  await serve(
    host,
    `require('node:net').createServer((socket) => socket.end(socket.remoteAddress))
      .listen({ host: options.address, port: options.port }, () => console.log('ready'))`,
    { address, port },
  )
}

export async function tcpReply(host: Host, address: string, port: number): Promise<string> {
  const program = `require('node:net').connect(options.port, options.address).pipe(process.stdout)`
  const { stdout } = await host.run(nodeProgram(program, { address, port }))
  return stdout
}

/** `connected`, the error's code, or `no answer` within this time. */
export async function tcpOutcome(
  host: Host,
  address: string,
  port: number,
  patienceMs: number,
): Promise<string> {
  const program = `const socket = require('node:net').connect(options.port, options.address)
    const end = (outcome) => console.log(outcome) ?? process.exit()
    socket.once('connect', () => end('connected'))
    socket.once('error', ({ code }) => end(code))
    setTimeout(end, options.patienceMs, 'no answer')`
  const { stdout } = await host.run(nodeProgram(program, { address, port, patienceMs }))
  return stdout.trim()
}

/** Serves until the lab ends, and answers every packet with the sender's address and port. */
export async function answerUdp(host: Host, address: string, port: number): Promise<void> {
  await serve(
    host,
    `const socket = dgram.createSocket(options.address.includes(':') ? 'udp6' : 'udp4')
    socket.on('message', (message, { address, port }) =>
      socket.send(JSON.stringify({ address, port }), port, address, () => {}))
    socket.bind(options.port, options.address, () => console.log('ready'))`,
    { address, port },
  )
}

/** How the other side saw the sender; undefined when there is no answer within `patienceMs`. */
export async function udpReply(
  host: Host,
  address: string,
  port: number,
  options: { text?: string; patienceMs?: number } = {},
): Promise<Seen | undefined> {
  const { text = 'hello', patienceMs = 20_000 } = options
  const program = `const socket = dgram.createSocket(options.address.includes(':') ? 'udp6' : 'udp4')
    socket.on('message', (message) => finish(message.toString()))
    socket.send(options.text, options.port, options.address, () => {})
    const timer = setTimeout(finish, options.patienceMs, 'null')
    function finish(line) {
      clearTimeout(timer)
      socket.close()
      console.log(line)
    }`
  const { stdout } = await host.run(nodeProgram(program, { address, port, text, patienceMs }))
  return (JSON.parse(stdout) as Seen | null) ?? undefined
}

/** How long packets take to the one that answers there and back, one after the other; lost ones are left out. */
export async function roundTripsMs(
  host: Host,
  address: string,
  port: number,
  count: number,
): Promise<number[]> {
  const program = `const socket = dgram.createSocket('udp4')
    const taken = []
    let sentAt, timer
    const next = () => {
      clearTimeout(timer)
      if (options.count-- === 0) return socket.close(() => console.log(JSON.stringify(taken)))
      sentAt = performance.now()
      timer = setTimeout(next, 2000)
      socket.send('hello', options.port, options.address)
    }
    socket.on('message', () => {
      taken.push(performance.now() - sentAt)
      next()
    })
    next()`
  const { stdout } = await host.run(nodeProgram(program, { address, port, count }))
  return JSON.parse(stdout) as number[]
}

/** From before a TCP connection is opened until the other host has all of the bytes. */
export async function transferMs(
  from: Host,
  to: Host,
  address: string,
  port: number,
  bytes: number,
): Promise<number> {
  await serve(
    to,
    `require('node:net').createServer((socket) => {
      let left = options.bytes
      socket.on('data', ({ length }) => (left -= length) === 0 && socket.end('all'))
    }).listen({ host: options.address, port: options.port }, () => console.log('ready'))`,
    { address, port, bytes },
  )
  const program = `const startedAt = performance.now()
    const socket = require('node:net').connect(options.port, options.address)
    socket.write(Buffer.alloc(options.bytes))
    socket.on('data', () => {
      console.log(performance.now() - startedAt)
      socket.end()
    })`
  const { stdout } = await from.run(nodeProgram(program, { address, port, bytes }))
  return Number(stdout)
}

/** Sends packets for half a second or so; returns how many frames the other host's interface has got. */
export async function floodUdp(
  from: Host,
  to: Host,
  address: string,
  port: number,
  count: number,
): Promise<number> {
  const received = async (): Promise<number> =>
    Number((await to.run(['cat', '/sys/class/net/eth0/statistics/rx_packets'])).stdout)
  // Resolving the address is no part of it; a lost question is asked again.
  await answerUdp(to, address, port)
  while ((await udpReply(from, address, port, { patienceMs: 1000 })) === undefined);
  const before = await received()
  await from.run(nodeProgram(floodProgram, { address, port, count }))
  // What is still on its way has arrived when an answer to what was sent after it is there.
  while ((await udpReply(from, address, port, { patienceMs: 1000 })) === undefined);
  return (await received()) - before - 1
}

const floodProgram = `const socket = dgram.createSocket('udp4')
  let left = options.count
  const sent = () => --options.count === 0 && socket.close()
  const timer = setInterval(() => {
    for (let batch = 0; batch < 20 && left > 0; batch++, left--)
      socket.send('x', options.port, options.address, sent)
    if (left === 0) clearInterval(timer)
  }, 10)`

/** Eight sockets, each of which asks every observer: its own port, and how each observer saw it, in their order. */
export async function mappedPorts(
  host: Host,
  observers: string[],
  port: number,
): Promise<{ local: number; seen: Seen[] }[]> {
  const program = `for (let count = 0; count < 8; count += 1) {
      const socket = dgram.createSocket('udp4')
      const seen = options.observers.map(() => undefined)
      socket.on('message', (message, sender) => {
        seen[options.observers.indexOf(sender.address)] = JSON.parse(message)
        if (seen.includes(undefined)) return
        console.log(JSON.stringify({ local: socket.address().port, seen }))
        socket.close()
      })
      for (const address of options.observers) socket.send('hello', options.port, address)
    }`
  const { stdout } = await host.run(nodeProgram(program, { observers, port }))
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { local: number; seen: Seen[] })
}

/** Prints `got TEXT` for every packet sent to the group of mDNS; resolves when it listens. */
export async function receiveMulticast(host: Host, address: string): Promise<RunningProcess> {
  return await serve(
    host,
    `const socket = dgram.createSocket('udp4')
    socket.on('message', (message) => console.log('got ' + message))
    socket.bind(5353, () => {
      socket.addMembership('224.0.0.251', options.address)
      console.log('ready')
    })`,
    { address },
  )
}

export async function sendMulticast(host: Host, address: string, text: string): Promise<void> {
  const program = `const socket = dgram.createSocket('udp4')
    socket.bind(() => {
      socket.setMulticastInterface(options.address)
      socket.send(options.text, 5353, '224.0.0.251', () => socket.close())
    })`
  const { code, stderr } = await host.run(nodeProgram(program, { address, text }))
  if (code !== 0) throw new Error(stderr)
}

export interface HeardRecords {
  name: string
  /** In seconds. */
  ttl: number
  texts: string[]
}

/** Prints, as JSON, what every answer of libp2p's mDNS says that comes in over IPv6; resolves when it listens. */
export async function listenMdns(host: Host, networkInterface: string): Promise<RunningProcess> {
  return await serve(
    host,
    `const socket = dgram.createSocket({ type: 'udp6', reuseAddr: true })
    const { decode } = require('node:module').createRequire(require.resolve('multicast-dns'))('dns-packet')
    socket.on('message', (message) => {
      const { answers, additionals } = decode(message)
      const texts = additionals.flatMap(({ type, data }) => (type === 'TXT' ? data : [])).map(String)
      for (const { type, data, ttl, name } of answers)
        if (type === 'PTR' && name === '_p2p._udp.local') console.log(JSON.stringify({ name: data, ttl, texts }))
    })
    socket.bind(5353, () => {
      socket.addMembership('ff02::fb', '::%' + options.networkInterface)
      console.log('ready')
    })`,
    { networkInterface },
  )
}

async function serve(host: Host, program: string, options: object): Promise<RunningProcess> {
  const running = host.spawn(nodeProgram(program, options))
  await running.line((line) => line === 'ready')
  return running
}

/** The program finds its arguments in `options`. */
function nodeProgram(program: string, options: object): string[] {
  const head = `const dgram = require('node:dgram')\nconst options = JSON.parse(process.argv[1])\n`
  return ['node', '--eval', head + program, JSON.stringify(options)]
}
