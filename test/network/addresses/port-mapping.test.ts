import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PortMapping, type PortGateway } from '../../../src/network/addresses/port-mapping.ts'
import type { UsableInterface } from '../../../src/network/interfaces.ts'
import { turns, virtualClock } from '../../../src/testing/virtual-clock.ts'

const port = 28_417
const minuteMs = 60_000

interface Router {
  host?: string
  externalHost?: string
  externalPort?: number
  fails?: boolean
}

/** A device at 10.1.0.2, unless it has another address, in a network with these routers. */
function mapping(routers: readonly Router[], ip = '10.1.0.2') {
  const clock = virtualClock()
  const asked: string[] = []
  const returned: string[] = []
  const reported: string[][] = []
  const gateways = routers.map((router): PortGateway => {
    const { host = '10.1.0.1', externalHost = '20.3.4.5', externalPort = port, fails = false } = router
    return {
      host,
      map: async (internalPort, internalHost) => {
        asked.push(`${host} ${internalHost}:${internalPort}`)
        if (fails) throw new Error('refused')
        return { externalHost, externalPort, internalHost, internalPort, protocol: 'TCP' }
      },
      stop: async () => void returned.push(host),
    }
  })
  const network: UsableInterface = {
    name: 'eth0',
    ipv4: [ip],
    ipv6: [],
    subnets: [`${ip}/24`],
    zone: 'eth0',
    loopback: false,
    virtual: false,
  }
  const made = new PortMapping({
    port,
    interfaces: () => [network],
    clock,
    log: () => {},
    onMapped: (addresses) => void reported.push(addresses.map(String)),
    async *findGateways() {
      yield* gateways
    },
  })
  const pass = async (ms: number): Promise<void> => {
    await clock.pass(ms)
    await turns()
  }
  return { made, asked, returned, reported, pass }
}

test('a router that agrees is reported, asked again before the hour is over, and told at the end', async () => {
  const { made, asked, returned, reported, pass } = mapping([{}])
  made.start()
  await pass(500)
  assert.deepEqual(asked, [], 'not while the device starts')
  await pass(1_000)
  assert.deepEqual(asked, ['10.1.0.1 10.1.0.2:28417'])
  assert.deepEqual(reported.at(-1), ['/ip4/20.3.4.5/tcp/28417'])
  await pass(26 * minuteMs)
  assert.equal(asked.length, 2)
  made.networkChanged()
  await pass(1_000)
  assert.equal(asked.length, 3)
  await made.stop()
  assert.deepEqual(returned, ['10.1.0.1'])
})

const useless: [string, Router][] = [
  ['refuses', { fails: true }],
  ['is itself behind a NAT', { externalHost: '100.64.0.7' }],
  ['names a private address', { externalHost: '192.168.0.1' }],
]
for (const [what, router] of useless) {
  test(`a router that ${what} is of no use, and the next one is asked`, async () => {
    const { made, reported, pass } = mapping([router, { host: '10.1.0.9' }])
    made.start()
    await pass(1_500)
    assert.deepEqual(reported.at(-1), ['/ip4/20.3.4.5/tcp/28417'])
    await made.stop()
  })
}

test('who is in none of the device’s networks is not asked, and of many two are', async () => {
  const { made, asked, pass } = mapping([{ host: '10.9.0.1' }, {}, { host: '10.1.0.3' }])
  made.start()
  await pass(1_500)
  assert.deepEqual(asked, ['10.1.0.1 10.1.0.2:28417'])
  await made.stop()
})

test('a device with a public address asks nobody', async () => {
  const { made, asked, pass } = mapping([{ host: '20.3.4.1' }], '20.3.4.9')
  made.start()
  await pass(1_500)
  assert.deepEqual(asked, [])
  await made.stop()
})

test('a port that another device has is not given back in its place', async () => {
  const { made, returned, reported, pass } = mapping([{ externalPort: port + 1 }])
  made.start()
  await pass(1_500)
  assert.deepEqual(reported.at(-1), ['/ip4/20.3.4.5/tcp/28418'])
  await made.stop()
  assert.deepEqual(returned, [])
})
