import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createLab, type Host, type Lan } from './lab.ts'
import type { RunningProcess } from './process.ts'
import { whyNoLab } from './requirements.ts'

const program = new URL('outer-dialler.ts', import.meta.url).pathname

interface Line {
  event: string
  peer: string
  port: number
  direction: string
  tookMs: number
}

async function line(running: RunningProcess, event: string): Promise<Line> {
  return JSON.parse(await running.line((text) => text.includes(`"${event}"`))) as Line
}

async function dialler(home: Host, router: Host, internet: Lan) {
  const running = home.spawn(['node', program])
  const { peer, port } = await line(running, 'started')
  return {
    running,
    peer,
    address: `/ip4/${router.address(internet)}/tcp/${port}/tcp/${port}/p2p/${peer}`,
  }
}

describe('outer addresses', { skip: await whyNoLab() }, () => {
  test('behind routers that drop, the path opens when the second one dials, seconds later, with nobody between them', async (context) => {
    await using lab = await createLab()
    const internet = await lab.lan('internet', { ipv4: '20.3.4.0/24' })
    const lans = [
      await lab.lan('home', { ipv4: '10.1.0.0/24' }),
      await lab.lan('work', { ipv4: '10.2.0.0/24' }),
    ]
    const [first, second] = await Promise.all(
      lans.map(async (lan) => {
        const host = await lab.host(`host-${lan.name}`, [lan])
        const router = await lab.router(`router-${lan.name}`, { inside: lan, outside: internet })
        return dialler(host, router, internet)
      }),
    )
    assert.ok(first !== undefined && second !== undefined)
    first.running.write(`${second.address}\n`)
    // Until its first packet is long gone, and was dropped.
    await wait(2_000)
    second.running.write(`${first.address}\n`)
    const [late, early] = await Promise.all([
      line(second.running, 'connected'),
      line(first.running, 'connected'),
    ])
    context.diagnostic(`connected ${late.tookMs.toFixed(0)} ms after the second one dialled`)
    assert.ok(early.tookMs > 1_900, 'the first one waited')
    assert.ok(late.tookMs < 3_000, `${late.tookMs} ms`)
    const directions = await Promise.all(
      [first, second].map(async ({ running }) => (await line(running, 'open')).direction),
    )
    assert.deepEqual(directions.sort(), ['inbound', 'outbound'])
  })
})
