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
