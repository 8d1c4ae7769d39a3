import type { StreamMuxerFactory } from '@libp2p/interface'
import { yamux, type YamuxMuxerInit } from '@libp2p/yamux'
import { openStreamsLazily } from './lazy-negotiation.ts'
import { limitNegotiation, type ServedProtocols } from './negotiation-limit.ts'

type YamuxMuxer = ReturnType<ReturnType<ReturnType<typeof yamux>>['createStreamMuxer']>

/** Yamux (https://github.com/hashicorp/yamux/blob/master/spec.md), as every host here has it. */
export function streamMuxer(
  init: YamuxMuxerInit = {},
): (components: { registrar: ServedProtocols }) => StreamMuxerFactory<YamuxMuxer> {
  return (components) => {
    const factory = yamux(init)()
    const createStreamMuxer = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = (connection) => {
      const muxer = createStreamMuxer(connection)
      endWithConnection(muxer)
      openStreamsLazily(muxer)
      limitNegotiation(muxer, connection, components.registrar)
      return muxer
    }
    return factory
  }
}

/**
 * Ends the streams when the connection takes nothing more. js-libp2p opens a stream a turn after it was asked for; where the
 * connection began to close within that turn, it throws where nobody can catch it.
 */
function endWithConnection(muxer: YamuxMuxer): void {
  const send = muxer.send.bind(muxer)
  let hasEnded = false
  muxer.send = (data) => {
    if (hasEnded) return false
    try {
      return send(data)
    } catch (error) {
      // The end of each stream is sent too, and may fail so again.
      hasEnded = true
      muxer.abort(error instanceof Error ? error : new Error(String(error)))
      return false
    }
  }
}
