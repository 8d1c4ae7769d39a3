import { constants, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { duplexPair, type Duplex } from 'node:stream'
import { connect, createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls'
import { addAbortListener } from 'node:events'
import { abortReason } from '../../abort.ts'
import type { TlsSecret } from './tls-secrets.ts'

/**
 * TLS 1.3 with an external pre-shared key and a fresh key agreement (RFC 8446, `psk_dhe_ke`), and nothing else: no certificates, no
 * resumption. Which key agreement it is, is left to the platform, whose first choice protects from quantum computers where it can.
 */
const settings = {
  minVersion: 'TLSv1.3',
  // The one whose hash belongs to an external key: with others OpenSSL finds none.
  ciphers: 'TLS_AES_128_GCM_SHA256',
  // No certificate counts, whatever the environment says (NODE_TLS_REJECT_UNAUTHORIZED).
  ca: [] as string[],
  rejectUnauthorized: true,
  // Who resumed a session would not need the key: a ticket is given, and never taken.
  secureOptions: constants.SSL_OP_NO_TICKET,
} satisfies TlsOptions

/** Finds the key for an identity; null when there is none. */
export type FindPsk = (socket: TLSSocket, identity: string) => Uint8Array | null

/** Server without a port: it is given its sockets by its event `connection`. */
export function tlsServer(find: FindPsk, handshakeTimeoutMs: number): Server {
  return createServer({
    ...settings,
    handshakeTimeout: handshakeTimeoutMs,
    pskCallback: (socket, identity) => {
      try {
        const psk = find(socket, identity)
        return psk === null ? null : Buffer.from(psk)
      } catch {
        // Thrown on, it would end the process in some releases of Node (CVE-2026-21637).
        return null
      }
    },
  })
}

/** Resolves after the handshake of the dialling side. Rejects with the error of TLS, or the signal's reason; the socket is gone then. */
export function secureAsDialer(
  raw: Socket | Duplex,
  { psk, identity }: TlsSecret,
  { signal }: { signal: AbortSignal },
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...settings,
      socket: raw,
      pskCallback: () => ({ psk: Buffer.from(psk), identity }),
      // Called for certificates alone.
      checkServerIdentity: () => new Error('a certificate, where the pair key belongs'),
    })
    const settle = (finish: () => void): void => {
      listening[Symbol.dispose]()
      socket.removeListener('close', onClose)
      finish()
    }
    const fail = (error: Error): void => {
      socket.destroy()
      settle(() => reject(error))
    }
    const onClose = (): void => fail(new Error('closed during the TLS handshake'))
    const listening = addAbortListener(signal, () => fail(abortReason(signal)))
    // Stays, so that a late error has somebody who hears it.
    socket.on('error', fail)
    socket.once('close', onClose)
    socket.once('secureConnect', () => {
      // The key was used: TLS sends no certificate beside one.
      if (socket.getPeerX509Certificate() === undefined) settle(() => resolve(socket))
      else fail(new Error('a certificate, where the pair key belongs'))
    })
  })
}

let capability: Promise<boolean> | undefined

/**
 * Whether this platform can do it, found out by doing it in memory, once: BoringSSL, which Electron and Bun are built with, knows no
 * external keys.
 */
export function canSpeakTls(): Promise<boolean> {
  return (capability ??= tryInMemory().catch(() => false))
}

async function tryInMemory(): Promise<boolean> {
  const secret: TlsSecret = { psk: randomBytes(32), identity: 'test' }
  const server = tlsServer(() => secret.psk, tryTimeoutMs)
  const [near, far] = duplexPair()
  const accepted = Promise.withResolvers<TLSSocket>()
  server.once('secureConnection', accepted.resolve)
  server.once('tlsClientError', accepted.reject)
  accepted.promise.catch(() => {})
  server.emit('connection', far)
  const signal = AbortSignal.timeout(tryTimeoutMs)
  const sockets = await Promise.all([secureAsDialer(near, secret, { signal }), accepted.promise])
  const [here, there] = sockets.map((socket) => socket.exportKeyingMaterial(32, 'test', Buffer.alloc(0)))
  for (const socket of sockets) socket.destroy()
  return here !== undefined && there !== undefined && here.equals(there)
}

const tryTimeoutMs = 2_000
