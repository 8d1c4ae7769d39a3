import type { PrivateKey } from '@libp2p/interface'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import type { Libp2p, Libp2pOptions } from 'libp2p'
import { createLibp2p } from 'libp2p'

/** A real libp2p host on a loopback port of its own. */
export async function realHost(privateKey?: PrivateKey): Promise<Libp2p> {
  return createLibp2p(settings(privateKey))
}

/** The same, of a program that also says by identify what it speaks. */
export async function foreignHost(privateKey?: PrivateKey): Promise<Libp2p> {
  return createLibp2p({ ...settings(privateKey), services: { identify: identify() } })
}

function settings(privateKey: PrivateKey | undefined): Libp2pOptions {
  return {
    ...(privateKey === undefined ? {} : { privateKey }),
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: 1_000, maxIncomingPendingConnections: 1_000 },
  }
}

/** Fails, instead of hanging, when something that a test waits for does not come. */
export async function within<Value>(
  promise: Promise<Value>,
  what: string,
  timeoutMs = 60_000,
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Resolves when the condition holds; looked at after every few milliseconds. */
export async function until(condition: () => boolean, what: string, timeoutMs = 60_000): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > giveUpAt) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
