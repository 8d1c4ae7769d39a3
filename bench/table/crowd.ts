import type { SpacedockNode } from '../../src/index.ts'
import { obey } from './obey.ts'
import { invite, joinAt, newDataDir, startNode } from './subjects/spacedock.ts'

/** Many devices in one process, each a node of its own with its own directory and sockets: the other side of one that is measured. */

export type CrowdOrder =
  /** Starts as many more. */
  | { do: 'grow'; count: number }
  /** Each shows a code; answers with what `join` needs of each. */
  | { do: 'invite' }
  /** Each joins one of these, all at once. */
  | { do: 'join'; addresses: readonly string[] }
  /** All go away, and keep what they have. */
  | { do: 'leave' }
  /** All come back, one after the other. */
  | { do: 'return' }

/** Room for all that one device may have in its outbox for another: alone, it has half of the inbox there. */
const inboxMessages = 20_000
const dataDirs: string[] = []
let nodes: SpacedockNode[] = []

obey(async (order: CrowdOrder) => {
  switch (order.do) {
    case 'grow':
      for (let number = 0; number < order.count; number++) {
        dataDirs.push(newDataDir())
        nodes.push(await start(dataDirs.length - 1))
      }
      return null
    case 'invite':
      return Promise.all(nodes.map(async (node) => (await invite(node)).address))
    case 'join':
      await Promise.all(
        order.addresses.map(async (address, number) => {
          const node = nodes[number]
          if (node !== undefined) await joinAt(node, address)
        }),
      )
      return null
    case 'leave':
      await Promise.all(nodes.map((node) => node.close()))
      nodes = []
      return null
    case 'return':
      for (let number = 0; number < dataDirs.length; number++) nodes.push(await start(number))
      return null
  }
})

async function start(number: number): Promise<SpacedockNode> {
  const dataDir = dataDirs[number] ?? newDataDir()
  return startNode(`device ${number}`, { dataDir, messages: { inboxMessages } })
}
