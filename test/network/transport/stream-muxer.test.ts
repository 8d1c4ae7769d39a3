import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { streamMuxer } from '../../../src/network/transport/stream-muxer.ts'
import { turns } from '../../../src/testing/virtual-clock.ts'
import { within } from '../real-hosts.ts'

const nothingServed = { registrar: { getProtocols: () => [] } }

test('a stream that is asked for while the connection closes is a stream that has ended, and nothing is thrown', async () => {
  const [connection, other] = multiaddrConnectionPair()
  const muxer = streamMuxer({ enableKeepAlive: false })(nothingServed).createStreamMuxer(connection)
  streamMuxer({ enableKeepAlive: false })(nothingServed).createStreamMuxer(other)
  const before = await muxer.createStream({ protocol: '/notes/1' })
  await turns()
  const ends = once(before, 'close')
  const opening = muxer.createStream({ protocol: '/notes/1' })
  void connection.close()
  const stream = await opening
  await within(ends, 'the end of the stream that was open before')
  assert.equal(stream.status, 'aborted')
  assert.equal(muxer.status, 'closed')
})
