import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import * as v from 'valibot'
import type { Log, Protocol } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { isRelayedConnection } from '../network/addresses/relayed-address.ts'
import { maxToldAddresses, type Host } from '../network/host/host.ts'
import type { Session, Sessions } from '../network/session/session.ts'
import { isTls } from '../network/transport/tls-connection.ts'
import type { PeerId } from '../pairing/peer-id.ts'
import { peerOf } from '../libp2p-peer.ts'

export interface PathExchangeParts {
  host: Pick<Host, 'tls' | 'connectionsTo' | 'pathsFor' | 'heardPaths'>
  sessions: Sessions
  /** Called when the device of a session over TLS has said at which addresses it is. */
  onPaths: (session: Session) => void
  /** Called when a direct session runs over Noise, with a device that speaks TLS, as this one does. */
  onStopgap: (session: Session) => void
  log: Log
}

const addressSchema = v.pipe(v.string(), v.maxLength(256))
const answerSchema = v.object({
  addresses: v.pipe(v.array(addressSchema), v.maxLength(maxToldAddresses)),
  observed: v.nullable(addressSchema),
  tls: v.boolean(),
})

type Answer = v.InferOutput<typeof answerSchema>

/**
 * Asks, at the start of a direct session, where the other device can be found and whether it speaks TLS: over TLS there is no
 * identify. PROTOCOL.md, "Sessions over TLS".
 */
export class PathExchange {
  readonly #parts: PathExchangeParts

  constructor(parts: PathExchangeParts) {
    this.#parts = parts
  }

  get protocol(): Protocol<object, Answer> {
    return {
      name: 'spacedock-paths',
      version: 1,
      request: v.object({}),
      response: answerSchema,
      handler: (_, { device }) => this.#answer(peerOf(device)),
    }
  }

  /** Asks over a new session: both sides do, each for itself. Never rejects. */
  async connected(session: Session): Promise<void> {
    const { host, log } = this.#parts
    const { connection, remotePeer: peer } = session
    if (host.tls === null || isRelayedConnection(connection)) return
    if (!isTls(connection) && !(await host.tls.isSpoken())) return
    const { name, version } = this.protocol
    try {
      const answer = await session.request({ name, version, value: {} }, { signal: session.forsaken })
      const message = v.safeParse(answerSchema, answer)
      if (message.success) this.#take(session, host.tls, message.output)
    } catch (error) {
      // An older device knows no such thing; a session that breaks has a successor.
      const code = error instanceof SpacedockError ? error.code : 'internal'
      log('debug', 'paths.not-told', { peer, code })
    }
  }

  async #answer(peer: PeerId): Promise<Answer> {
    const { host, sessions } = this.#parts
    const tls = (await host.tls?.isSpoken()) === true
    // A session answers before it is the one in use.
    const connection = sessions.sessionOf(peer)?.connection ?? host.connectionsTo(peer).at(-1)
    if (host.tls === null || connection === undefined) return { addresses: [], observed: null, tls }
    const { addresses, observed } = host.pathsFor(connection)
    return { addresses: addresses.map(String), observed: observed?.toString() ?? null, tls }
  }

  #take(
    session: Session,
    ownTls: { speaks(peer: PeerId): void },
    { addresses, observed, tls }: Answer,
  ): void {
    const { host, onPaths, onStopgap } = this.#parts
    const { connection, remotePeer: peer } = session
    if (tls) ownTls.speaks(peer)
    if (isTls(connection)) {
      host.heardPaths(connection, {
        addresses: addresses.flatMap((text) => parsed(text, peer) ?? []),
        observed: observed === null ? null : parsed(observed, peer),
      })
      onPaths(session)
    } else if (tls) onStopgap(session)
  }
}

/** Parses an address, without the peer's id at its end; null for what is none, or names another peer. */
function parsed(text: string, peer: PeerId): Multiaddr | null {
  try {
    const address = multiaddr(text)
    const last = address.getComponents().at(-1)
    if (last?.name !== 'p2p') return address
    return last.value === peer ? address.decapsulate(`/p2p/${peer}`) : null
  } catch {
    return null
  }
}
