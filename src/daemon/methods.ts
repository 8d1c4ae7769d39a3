import type { Confirm, Device, DeviceInfo, PairingProgress, SpacedockNode } from '../api.ts'
import { Semaphore } from '../semaphore.ts'
import type { Confirmation, Event, MethodName, Params, Result } from './daemon-api.ts'
import { version } from '../version.ts'

/** Facts of the daemon's process that the node does not know. */
export interface DaemonFacts {
  /** File of the log; null for standard error. */
  log: string | null
  metricsUrl: string | null
  /** See DaemonMetrics. */
  defects: number
}

/** Connection of a call, as far as a method needs it. */
export interface MethodCall<M extends MethodName> {
  node: SpacedockNode
  about: () => DaemonFacts
  params: Params<M>
  /** Aborts when the client has gone or the daemon stops. */
  signal: AbortSignal
  /** Resolves when the client can take more. */
  send: (event: Event<M>) => Promise<void>
  ask: (question: Confirmation, options: { signal: AbortSignal }) => Promise<boolean>
}

export type MethodHandlers = { [M in MethodName]: (call: MethodCall<M>) => Promise<Result<M>> }

export const methodHandlers: MethodHandlers = {
  status: async ({ node, about }) => {
    const { log, metricsUrl, defects } = about()
    const metrics = { ...node.metrics(), defects }
    return { pid: process.pid, version, ...node.status(), log, metricsUrl, metrics }
  },

  // The connection begins the stop when the answer is on its way.
  down: async ({ about }) => ({ pid: process.pid, log: about().log }),

  pair: async ({ node, params, signal, send, ask }) => {
    const progress = forwardProgress(send)
    const invitation = await node.pair({
      signal,
      peers: params.peers ?? [],
      onProgress: progress.forward,
      ...(params.ask ? { confirm: askAt(ask, progress) } : {}),
    })
    const { words, uri, sessionId, expiresAt } = invitation
    const shown = send({ kind: 'code', words, uri, sessionId, expiresAt: expiresAt.toISOString() })
    const [device] = await Promise.all([invitation.paired, shown])
    await progress.sent()
    return { device: describe(device) }
  },

  join: async ({ node, params, signal, send, ask }) => {
    const progress = forwardProgress(send)
    const { code, peers, timeoutMs } = params
    const device = await node.join(code, {
      signal,
      peers,
      onProgress: progress.forward,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(params.ask ? { confirm: askAt(ask, progress) } : {}),
    })
    await progress.sent()
    return { device: describe(device) }
  },

  devices: async ({ node }) => ({
    devices: node.devices().map((device) => describe(device)),
    notices: node.status().notices,
  }),

  device: async ({ node, params }) => ({ device: describe(node.device(params.device)) }),

  rename: async ({ node, params }) => {
    const device = node.device(params.device)
    await device.rename(params.name)
    return { device: describe(device) }
  },

  renameSelf: async ({ node, params }) => {
    await node.rename(params.name)
    return { id: node.id, name: node.name }
  },

  revoke: async ({ node, params }) => {
    const device = node.device(params.device)
    await device.revoke()
    return { device: describe(device) }
  },

  send: async ({ node, params, signal }) => {
    const { device, content, expiresInMs } = params
    const lifetime = expiresInMs === undefined ? {} : { expiresInMs: expiresInMs ?? Number.POSITIVE_INFINITY }
    return node.device(device).send(content, { signal, ...lifetime })
  },

  inbox: async ({ node, params, signal, send }) => {
    const after = params.after === undefined ? {} : { after: params.after }
    if (params.follow) for await (const message of node.messages({ ...after, signal })) await send(message)
    else for (const message of node.inbox(after)) await send(message)
    return {}
  },

  clearInbox: async ({ node }) => ({ removed: await node.clearInbox() }),

  outbox: async ({ node, send }) => {
    for (const message of node.outbox()) await send(message)
    return {}
  },

  ping: async ({ node, params, signal }) => node.device(params.device).ping({ signal }),
}

/** Copies a live device, whose properties may be getters, as plain data. */
function describe(device: DeviceInfo | Device): DeviceInfo {
  const { id, name, peerId, state, needsPairing, path, limited, address, lastSeen } = device
  const { roundTripMs, connectedSince, lastFailure } = device
  const live = { roundTripMs, connectedSince, lastFailure }
  return { id, name, peerId, state, needsPairing, path, limited, address, lastSeen, ...live }
}

function askAt(
  ask: (question: Confirmation, options: { signal: AbortSignal }) => Promise<boolean>,
  progress: { sent: () => Promise<void> },
): Confirm {
  return async ({ name, digits, id }, options) => {
    // Events that led to the question are read before it.
    await progress.sent()
    return ask({ name, digits, deviceId: id }, options)
  }
}

/** Forwards progress in order, although it comes by callback; a client that has gone ends the call by its signal. */
function forwardProgress(send: (event: PairingProgress) => Promise<void>): {
  forward: (progress: PairingProgress) => void
  sent: () => Promise<void>
} {
  const sending = new Semaphore(1)
  return {
    forward: (progress) => void sending.run(() => send(progress)).catch(() => undefined),
    sent: () => sending.run(async () => {}),
  }
}
