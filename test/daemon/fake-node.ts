import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type {
  Device,
  DeviceState,
  Invitation,
  JoinOptions,
  Message,
  NodeOptions,
  PairOptions,
  SpacedockNode,
} from '../../src/api.ts'
import { SpacedockError } from '../../src/errors.ts'
import { NodeCounters } from '../../src/node/node-counters.ts'
import { acquireLock } from '../../src/store/lock.ts'

export const fakeWords =
  'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about'
export const fakeDigits = '123456'

export interface FakeNode extends SpacedockNode {
  /** What was called and how it ended, in order. */
  readonly happened: string[]
  /** Resolves when `happened` holds the line. */
  until(line: string): Promise<void>
  receive(text: string): void
}

const copied = {
  code: 'identity-elsewhere' as const,
  message: 'Another machine has the identity of this device.',
  hint: 'Stop one.',
}

/** The name given, now or at an earlier start. */
function keptName({ dataDir, name }: NodeOptions): string {
  const path = join(dataDir, 'name')
  if (name !== undefined) writeFileSync(path, name)
  return existsSync(path) ? readFileSync(path, 'utf8') : 'host'
}

/**
 * A node without a network, for tests of the daemon and the command. It knows one device, "phone"; a message to it is
 * delivered, one to "away" is queued. Pairing finds a partner at once, unless the node is called "lonely"; the partner of
 * one called "host again" is another "away"; one called "cloned" is in use twice; one called "slow" takes its time to close.
 */
export async function createFakeNode(options: NodeOptions): Promise<FakeNode> {
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 })
  const lock = acquireLock(options.dataDir)
  if (options.port === 1) {
    lock.release()
    throw new SpacedockError('port-taken', 'Port 1 is in use.', { hint: 'Choose another one.' })
  }
  const happened: string[] = []
  const waiting: (() => void)[] = []
  const messages: Message[] = []
  let arrival = Promise.withResolvers<void>()
  let name = keptName(options)
  const note = (line: string): void => {
    happened.push(line)
    for (const resume of waiting.splice(0)) resume()
  }
  const devices = new Map(
    [fakeDevice('phone', 'connected', note), fakeDevice('away', 'disconnected', note)].map((device) => [
      device.id,
      device,
    ]),
  )
  const events = new EventTarget()

  const meet = async ({ confirm, signal, onProgress }: PairOptions): Promise<Device> => {
    const never = new AbortController()
    onProgress?.({
      kind: 'source',
      source: 'local-network',
      status: 'ready',
      detail: 'asking everybody there',
    })
    if (name === 'lonely') {
      await aborted(signal ?? never.signal).catch((error: unknown) => {
        note('pairing ended')
        throw error
      })
    }
    onProgress?.({ kind: 'contact' })
    onProgress?.({ kind: 'digits', digits: fakeDigits })
    const found = fakeDevice(name === 'host again' ? 'away (2)' : 'phone', 'connected', note)
    const request = { name: found.name, digits: fakeDigits, id: found.id, peerId: found.peerId }
    if (confirm !== undefined && !(await confirm(request, { signal: signal ?? never.signal }))) {
      note('declined')
      throw new SpacedockError('declined', 'Somebody said no.')
    }
    note('paired')
    return found
  }

  const node: FakeNode = {
    happened,
    until: async (line) => {
      while (!happened.includes(line)) await new Promise<void>((resume) => waiting.push(resume))
    },
    receive: (text) => {
      const sequence = messages.length + 1
      const from = { id: 'phone00000000000', name: 'phone' }
      messages.push({ id: `message-${sequence}`, sequence, from, text, at: '2026-01-02T03:04:05.000Z' })
      arrival.resolve()
      arrival = Promise.withResolvers<void>()
    },
    peerId: 'peer-self',
    id: 'self000000000000',
    get name() {
      return name
    },
    status: () => ({
      peerId: 'peer-self',
      id: 'self000000000000',
      name,
      devices: devices.size,
      publicNetwork: null,
      notices: name === 'cloned' ? [copied] : [],
      inbox: { messages: messages.length, bytes: 0, fullFor: [] },
      uptimeMs: 1500,
      listen: [`/ip4/127.0.0.1/tcp/${options.port ?? 4001}`, ...(options.interfaces ?? [])],
    }),
    metrics: () => new NodeCounters().read({ connections: ['direct'], sessions: [], queued: 1 }),
    pair: async (pairOptions = {}): Promise<Invitation> => {
      note('pair')
      const cancelled = new AbortController()
      const signals = [cancelled.signal, ...(pairOptions.signal === undefined ? [] : [pairOptions.signal])]
      const paired = meet({ ...pairOptions, signal: AbortSignal.any(signals) })
      paired.catch(() => undefined)
      return {
        words: fakeWords,
        uri: `spacedock:${fakeWords.replaceAll(' ', '-')}`,
        sessionId: '0'.repeat(32),
        expiresAt: new Date(Date.now() + 300_000),
        paired,
        cancel: async () => {
          cancelled.abort(new SpacedockError('cancelled', 'The invitation was cancelled.'))
          note('cancelled')
        },
      }
    },
    join: async (code: string, joinOptions: JoinOptions = {}) => {
      note(`join ${code}`)
      return meet(joinOptions)
    },
    devices: () => [...devices.values()],
    device: (reference) => {
      const found = [...devices.values()].find(
        (device) => device.name === reference || device.id === reference,
      )
      if (found !== undefined) return found
      throw new SpacedockError('no-device', `There is no device "${reference}".`, {
        hint: 'See "spacedock devices".',
      })
    },
    rename: async (given) => {
      name = given
    },
    handle: () => () => undefined,
    publish: async () => [],
    subscribe: () => {
      throw new SpacedockError('unknown-protocol', 'There are no topics here.')
    },
    async *messages({ after = 0, signal } = {}) {
      const ended = aborted(signal ?? new AbortController().signal)
      ended.catch(() => undefined) // nobody may be waiting just then
      try {
        for (let position = after; ;) {
          const message = messages[position]
          if (message !== undefined) yield message
          else await Promise.race([arrival.promise, ended])
          if (message !== undefined) position++
        }
      } catch {
        // Aborted: the end of the messages.
      }
      note('messages ended')
    },
    inbox: ({ after = 0 } = {}) => messages.slice(after),
    outbox: () => [
      {
        id: 'queued-1',
        to: { id: 'away000000000000', name: 'away' },
        json: { lamp: 'on' },
        at: '2026-01-02T03:04:05.000Z',
        state: 'queued' as const,
        waitsFor: 'device' as const,
        expiresAt: '2027-01-02T03:04:05.000Z',
      },
    ],
    removeMessage: async () => false,
    clearInbox: async () => messages.splice(0).length,
    addEventListener: (type, listener) => events.addEventListener(type, listener as (event: Event) => void),
    removeEventListener: (type, listener) =>
      events.removeEventListener(type, listener as (event: Event) => void),
    close: async () => {
      if (name === 'slow') await new Promise((resume) => void setTimeout(resume, 1500))
      options.log?.('info', 'fake.closed')
      note('closed')
      lock.release()
    },
    [Symbol.asyncDispose]: async () => node.close(),
  }
  return node
}

function fakeDevice(name: string, initialState: DeviceState, note: (line: string) => void): Device {
  let currentName = name
  let state = initialState
  const id = name.padEnd(16, '0')
  return {
    id,
    peerId: `peer-${name}`,
    get name() {
      return currentName
    },
    get state() {
      return state
    },
    get path() {
      return state === 'connected' ? ('direct' as const) : null
    },
    needsPairing: null,
    limited: false,
    address: '/ip4/127.0.0.1/tcp/4002',
    lastSeen: '2026-01-02T03:04:05.000Z',
    roundTripMs: 1.5,
    connectedSince: '2026-01-02T03:04:00.000Z',
    lastFailure: null,
    send: async (content, { expiresInMs } = {}) => {
      note(`send ${JSON.stringify(content)}${expiresInMs === undefined ? '' : ` within ${expiresInMs} ms`}`)
      return { id: 'message-1', status: state === 'connected' ? 'delivered' : 'queued' }
    },
    request: async () => {
      throw new SpacedockError('unknown-protocol', 'There are no protocols here.')
    },
    openStream: async () => {
      throw new SpacedockError('unknown-protocol', 'There are no protocols here.')
    },
    emit: async () => {},
    versionsOf: async () => [],
    ping: async () => {
      if (state !== 'connected') throw new SpacedockError('offline', `"${currentName}" is offline.`)
      return { roundTripMs: 1.5, path: 'direct', address: '/ip4/127.0.0.1/tcp/4002' }
    },
    rename: async (given) => {
      currentName = given
    },
    revoke: async () => {
      state = 'revoked'
      note(`revoked ${currentName}`)
    },
  }
}

/** Rejects with the signal's reason. */
async function aborted(signal: AbortSignal): Promise<never> {
  signal.throwIfAborted()
  return new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}
