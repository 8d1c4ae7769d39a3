import * as v from 'valibot'
import type { ByteStream } from '../../../src/index.ts'
import { overPipes } from './over-pipes.ts'
import { invite, joinAt, library, startNode } from './spacedock.ts'
import type { Pipe } from './subject.ts'

const { defineStream } = await library()
const bytes = defineStream({ name: 'bench-bytes', version: 1, request: v.null() })

export default overPipes({
  listen: async (onPipe) => {
    const node = await startNode('server')
    node.handle({
      ...bytes,
      handler: async (_request, stream) => {
        onPipe(streamPipe(stream, () => {}))
        await new Promise(() => {})
      },
    })
    return (await invite(node)).address
  },
  connect: async (address) => {
    const node = await startNode('client')
    const device = await joinAt(node, address)
    return async () =>
      streamPipe(await device.openStream(bytes, null), (error) => {
        throw error
      })
  },
})

/** Ends the process when the stream breaks, unless that is expected: the other end is stopped first. */
function streamPipe(
  { readable, writable }: Pick<ByteStream, 'readable' | 'writable'>,
  onBroken: (error: unknown) => void,
): Pipe {
  const writer = writable.getWriter()
  return {
    write: (chunk) => {
      writer.write(chunk).catch(onBroken)
      return (writer.desiredSize ?? 1) > 0 ? undefined : writer.ready
    },
    read: (onBytes) => {
      const reading = async (): Promise<void> => {
        for await (const chunk of readable) onBytes(chunk)
      }
      reading().catch(onBroken)
    },
  }
}
