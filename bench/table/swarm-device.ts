import BlindPairing, { type Member } from 'blind-pairing'
import DHT from 'hyperdht'
import createTestnet from 'hyperdht/testnet.js'
import Hyperswarm from 'hyperswarm'
import { obey } from './obey.ts'
import { monotonicMs, type Joining, type PairingOrder } from './pairing-order.ts'
import { host } from './subjects/subject.ts'

/** A device of hyperswarm in a process of its own, which pairs by blind-pairing over a DHT of three nodes that the first one starts. */

let pairing: BlindPairing | null = null
let member: Member | null = null
let pairedMs: Promise<number> = Promise.reject(new Error('no code was shown'))
pairedMs.catch(() => {})

obey(async (order: PairingOrder) => {
  switch (order.do) {
    case 'start':
      return start(order.network)
    case 'invite':
      return invite(started())
    case 'paired':
      return pairedMs
    case 'join':
      return joining(started(), order.address)
  }
})

async function start(network: string | undefined): Promise<string> {
  await pairing?.close()
  await pairing?.swarm.destroy()
  const bootstrap =
    network === undefined ? (await createTestnet(3)).bootstrap : (JSON.parse(network) as unknown[])
  const dht = new DHT({ bootstrap, host, firewalled: false })
  await dht.fullyBootstrapped()
  const swarm = new Hyperswarm({ dht })
  await swarm.listen()
  pairing = new BlindPairing(swarm)
  return JSON.stringify(bootstrap)
}

async function invite(on: BlindPairing): Promise<string> {
  await member?.close()
  const key = Buffer.alloc(32, 7)
  const { invite, publicKey, discoveryKey } = BlindPairing.createInvite(key)
  const paired = Promise.withResolvers<number>()
  pairedMs = paired.promise
  member = on.addMember({
    discoveryKey,
    onadd: async (candidate) => {
      candidate.open(publicKey)
      candidate.confirm({ key })
      paired.resolve(monotonicMs())
    },
  })
  await member.flushed()
  return Buffer.from(invite).toString('hex')
}

async function joining(on: BlindPairing, address: string): Promise<Joining> {
  const startedMs = monotonicMs()
  const userData = Buffer.alloc(32, 8)
  const candidate = on.addCandidate({ invite: Buffer.from(address, 'hex'), userData, onadd: async () => {} })
  await candidate.pairing
  return { startedMs, endedMs: monotonicMs() }
}

function started(): BlindPairing {
  if (pairing === null) throw new Error('not started')
  return pairing
}
