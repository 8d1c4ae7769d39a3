import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Host } from './lab.ts'
import type { RunningProcess } from './process.ts'

/**
 * A TCP proxy on a host of the lab that can stop a libp2p connection between any two of its messages. What they say is
 * encrypted, but where each ends is not: two lines of multistream-select each way, which agree on Noise, then Noise
 * messages, each after its length (https://github.com/libp2p/specs/blob/master/noise/README.md#wire-format).
 */
export class CuttingProxy {
  readonly host: Host
  readonly port: number
  readonly #process: RunningProcess
  #commands = 0

  private constructor(host: Host, running: RunningProcess, port: number) {
    this.host = host
    this.#process = running
    this.port = port
  }

  /** Leads to a TCP address. */
  static async start(host: Host, to: { address: string; port: number }): Promise<CuttingProxy> {
    const file = fileURLToPath(import.meta.url)
    const running = host.spawn(['node', file, to.address, String(to.port)])
    const ready = await running.line((line) => line.startsWith('listening '))
    return new CuttingProxy(host, running, Number(ready.split(' ')[1]))
  }

  /** Ends the connections there are, counts from now on, and holds everything back from the `cutAt`th message on. */
  async arm(cutAt: number): Promise<void> {
    await this.#command(`arm ${cutAt}`)
  }

  /** Resolves when a message is held back: which one, and whether the dialer or the listener had sent it. */
  async held(deadlineMs = 60_000): Promise<'dialer' | 'listener'> {
    const prefix = `held ${this.#commands} `
    const line = await this.#process.line((candidate) => candidate.startsWith(prefix), { deadlineMs })
    return line.endsWith('dialer') ? 'dialer' : 'listener'
  }

  /** Passes on what was held back, and all that follows. */
  async release(): Promise<void> {
    await this.#command('release')
  }

  /** Resets all connections; new ones pass. */
  async reset(): Promise<void> {
    await this.#command('reset')
  }

  /** Messages that passed since `arm`. */
  async count(): Promise<number> {
    return Number((await this.#command('count')).split(' ')[2])
  }

  async #command(command: string): Promise<string> {
    if (command.startsWith('arm')) this.#commands += 1
    const number = ++this.#answers
    this.#process.write(`${command}\n`)
    return this.#process.line((line) => line.startsWith(`done ${number} `))
  }

  #answers = 0
}

/** How many bytes the next message has, its length included; null while that is not known. */
type Framing = (buffered: Buffer) => number | null

/** After two lines with a length of one byte come messages with a length of two. */
function noiseFraming(): Framing {
  let lines = 2
  let current: number | null = null
  return (buffered) => {
    if (current === null && lines > 0 && buffered.length >= 1) {
      lines -= 1
      current = 1 + buffered.readUInt8(0)
    } else if (current === null && lines === 0 && buffered.length >= 2) current = 2 + buffered.readUInt16BE(0)
    if (current === null || buffered.length < current) return null
    const whole = current
    current = null
    return whole
  }
}

function serve(toAddress: string, toPort: number): void {
  let generation = 0
  let cutAt = Infinity
  let passed = 0
  let mode: 'passing' | 'holding' = 'passing'
  const sockets = new Set<Socket>()
  const pumps = new Set<() => void>()
  let commands = 0

  function pump(from: Socket, to: Socket, sender: 'dialer' | 'listener'): void {
    const born = generation
    const frameLength = noiseFraming()
    let buffered = Buffer.alloc(0)
    let whole: number | null = null
    const pass = (): void => {
      for (;;) {
        whole ??= frameLength(buffered)
        if (whole === null) return
        if (mode === 'passing' && born === generation && passed + 1 === cutAt) {
          mode = 'holding'
          console.log(`held ${generation} ${cutAt} ${sender}`)
        }
        if (mode === 'holding') return
        if (born === generation) passed += 1
        to.write(buffered.subarray(0, whole))
        buffered = buffered.subarray(whole)
        whole = null
      }
    }
    pumps.add(pass)
    from.on('data', (chunk: Buffer) => {
      buffered = Buffer.concat([buffered, chunk])
      pass()
    })
    from.on('end', () => {
      if (mode === 'passing') to.end()
    })
    from.on('error', () => {})
    from.on('close', () => {
      pumps.delete(pass)
      sockets.delete(from)
      to.destroy()
    })
  }

  function resetAll(): void {
    for (const socket of sockets) socket.resetAndDestroy()
  }

  function obey(command: string, argument: string | undefined): void {
    if (command === 'arm') {
      resetAll()
      generation += 1
      passed = 0
      cutAt = Number(argument)
      mode = 'passing'
    } else if (command === 'release') {
      cutAt = Infinity
      mode = 'passing'
      for (const pass of pumps) pass()
    } else if (command === 'reset') {
      cutAt = Infinity
      resetAll()
      mode = 'passing'
    }
    commands += 1
    console.log(`done ${commands} ${passed}`)
  }

  const server = createServer({ noDelay: true }, (dialer) => {
    const listener = connect({ host: toAddress, port: toPort, noDelay: true })
    sockets.add(dialer).add(listener)
    pump(dialer, listener, 'dialer')
    pump(listener, dialer, 'listener')
  })
  server.listen(0, '0.0.0.0', () => {
    const address = server.address()
    console.log(`listening ${typeof address === 'object' ? (address?.port ?? 0) : 0}`)
  })
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [command = '', argument] = line.split(' ')
    obey(command, argument)
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [toAddress = '', toPort = ''] = process.argv.slice(2)
  serve(toAddress, Number(toPort))
}
