import * as v from 'valibot'
import { invite, joinAt, library, startNode } from './spacedock.ts'
import type { Subject } from './subject.ts'

const { defineProtocol } = await library()
const echo = defineProtocol({ name: 'bench-echo', version: 1, request: v.string(), response: v.string() })

/** Typed requests: texts of as many characters. */
const requests: Subject = {
  serve: async () => {
    const node = await startNode('server')
    node.handle({ ...echo, handler: (text) => text })
    return (await invite(node)).address
  },
  connect: async (address) => {
    const node = await startNode('client')
    const device = await joinAt(node, address)
    return {
      messages: async (bytes) => {
        const text = 'x'.repeat(bytes)
        return { ask: (answered) => void device.request(echo, text).then(answered) }
      },
    }
  },
}
export default requests
