import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TlsTransport } from '../../../src/network/session/tls-transport.ts'
import { until } from '../real-hosts.ts'
import { socketPair, tlsEnds } from './tls-pair.ts'

for (const way of ['by the shortcut', 'by the event alone'] as const) {
  test(`what arrives before, during and after a pause comes in order, ${way}`, async () => {
    const { toListener, toDialer } = await tlsEnds(await socketPair())
    const received: number[] = []
    let events = 0
    const transport = new TlsTransport(toDialer)
    transport.listen({
      received: (bytes) => received.push(...bytes),
      finished: () => {},
      closed: () => {},
      writable: () => {},
    })
    const { socket } = toDialer
    socket.on('data', () => events++)
    // A platform that does not call it.
    if (way === 'by the event alone') Reflect.deleteProperty(socket, 'push')
    const send = (byte: number): boolean => toListener.socket.write(Uint8Array.of(byte))
    transport.resume()
    send(1)
    await until(() => received.length === 1, 'the first')
    transport.pause()
    send(2)
    await until(() => socket.readableLength === 1, 'the second, which is held')
    assert.deepEqual(received, [1])
    transport.resume()
    send(3)
    await until(() => received.length === 3, 'the others')
    send(4)
    await until(() => received.length === 4, 'the last')
    assert.deepEqual(received, [1, 2, 3, 4])
    assert.ok(way === 'by the shortcut' ? events < 3 : events === 4, `${events} events`)
    toDialer.abort(new Error('done'))
    toListener.abort(new Error('done'))
  })
}
