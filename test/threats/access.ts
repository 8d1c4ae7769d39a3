import { readFileSync } from 'node:fs'
import type { Stream } from '@libp2p/interface'
import * as v from 'valibot'
import { defineProtocol } from '../../src/network/application/application-protocols.ts'
import type { SpacedockNode } from '../../src/index.ts'
import { HandJoiner } from './hand-joiner.ts'
import { openSessionByHand } from './hand-session.ts'
import { readToEnd, type RawPeer } from './raw-peer.ts'
import { addressOf, codeOf, pause, until, type Scene } from './scene.ts'
import { succeeded, unless, withstood, type Threat, type Verdict } from './threat.ts'
import { call } from '../network/session/calls.ts'

/** Those who are not paired, or not any more. */
export const threats: Threat[] = [
  {
    row: 31,
    title:
      'a revoked device is cut off before `revoke` returns, and refused afterwards, also after a restart',
    attack: useRevokedDevice,
    without: [
      {
        what: 'the closing of its connections',
        patches: [
          {
            file: 'src/network/supervisor/peer.ts',
            find: `    this.sessions.abort(revoked)
    for (const connection of host.connectionsTo(this.id)) connection.abort(revoked)
`,
            replace: ``,
          },
          {
            file: 'src/network/supervisor/peer.ts',
            find: `    // What a dial brought up in the meantime.
    for (const connection of host.connectionsTo(this.id)) connection.abort(revoked)
`,
            replace: ``,
          },
        ],
      },
      {
        what: 'the tombstone',
        patches: [
          {
            file: 'src/node/device.ts',
            find: `      store.registry.revoke(this.#peer)\n`,
            replace: ``,
          },
          {
            file: 'src/node/device.ts',
            find: `if (record?.state === 'revoked') {`,
            replace: `if (record !== undefined) {`,
          },
        ],
      },
    ],
  },
  {
    row: 34,
    title: 'an unpaired peer is refused by messages, sessions and custom protocols before it has sent a byte',
    attack: openAsStranger,
    without: [
      {
        what: 'the question who it is before anything is read',
        patches: [
          {
            file: 'src/network/application/protocol-registry.ts',
            find: `(access === 'paired' ? paired : this.#devices.trusted(peer) !== undefined)`,
            replace: `(paired || access !== 'strangers')`,
          },
        ],
      },
    ],
  },
]

const notesId = '/spacedock/app/notes/1.0.0'

function serveNotes(node: SpacedockNode): { calls: () => number } {
  let calls = 0
  const schema = v.unknown()
  node.handle(
    defineProtocol({
      name: 'notes',
      version: 1,
      request: schema,
      response: schema,
      handler: () => (calls++, null),
    }),
  )
  return { calls: () => calls }
}

async function useRevokedDevice(scene: Scene): Promise<Verdict> {
  const dataDir = scene.directory()
  const alice = await scene.node('alice', { dataDir })
  const notes = serveNotes(alice)
  const invitation = await alice.pair()
  const phone = await HandJoiner.start(scene, alice, invitation.words, 'phone')
  const { pair } = await phone.pair()
  const device = await invitation.paired
  const session = await openSessionByHand(phone.raw, phone.address, pair.pairKey)
  await session.request(call('notes', 1, { note: 1 }))
  // Half a request, which the other half would complete after the revocation.
  const half = await phone.raw.open(phone.address, notesId)
  half.send(new TextEncoder().encode('{"note":'))
  const calls = notes.calls()
  if (calls !== 1) throw new Error('the device cannot do what a paired one can')

  await device.revoke()
  const open = establishedAt(alice)
  const requested = await session.request(call('notes', 1, { note: 2 })).then(
    () => 'answered',
    () => 'refused',
  )
  await send(half, '2}')
  await until(() => notes.calls() > calls, 'the half request', 3_000).catch(() => undefined)
  const afterwards = await reconnect(phone.raw, phone.address, pair.pairKey)
  await alice.close()
  const restarted = await scene.node('alice', { dataDir })
  const notesAgain = serveNotes(restarted)
  const afterRestart = await reconnect(phone.raw, addressOf(restarted), pair.pairKey)
  return unless(
    {
      [`${open} connections are open when revoke returns`]: open > 0,
      'a request over the old session was answered': requested === 'answered',
      'the half request was completed': notes.calls() > calls,
      [`it comes back: ${afterwards}`]: afterwards !== 'not-paired, refused',
      [`it comes back after a restart: ${afterRestart}`]: afterRestart !== 'not-paired, refused',
      'it is not shown as revoked': restarted.devices()[0]?.state !== 'revoked',
      'the handler was called after the restart': notesAgain.calls() > 0,
    },
    'no connection is open when revoke returns; not-paired and refused, also after a restart',
  )
}

/** Connections of the system that are established at the node's own end. */
function establishedAt(node: SpacedockNode): number {
  const [, , , , port = ''] = addressOf(node).split('/')
  const local = `0100007F:${Number(port).toString(16).toUpperCase().padStart(4, '0')}`
  const established = '01'
  return readFileSync('/proc/self/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, own, , state]) => own === local && state === established).length
}

async function reconnect(raw: RawPeer, address: string, pairKey: Uint8Array): Promise<string> {
  const session = await openSessionByHand(raw, address, pairKey).then(
    (opened) => (opened.abort(new Error('enough')), 'a session'),
    codeOf,
  )
  const answer = await raw.askBytes(address, new TextEncoder().encode('{}'), { protocol: notesId })
  return `${session}, ${answer === null ? 'refused' : 'answered'}`
}

async function send(stream: Stream, text: string): Promise<void> {
  try {
    stream.send(new TextEncoder().encode(text))
    await stream.close({ signal: AbortSignal.timeout(1_000) })
  } catch {
    // It was reset: nothing can be sent.
  }
}

async function openAsStranger(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const notes = serveNotes(alice)
  const stranger = await scene.rawPeer()
  const unknownDevice = Buffer.from([0, 0, 0, 0, 4, 0, 0, 0, 0])
  const protocols = [notesId, '/spacedock/app/spacedock-message/1.0.0', '/spacedock/session/1.0.0']
  for (const protocol of protocols) {
    const stream = await stranger.open(addressOf(alice), protocol)
    const answer = readToEnd(stream)
    const refused = await Promise.race([
      ended(stream).then(() => true),
      answer.then((bytes) => bytes !== null),
      pause(8_000).then(() => false), // before the deadline for a question would end it
    ])
    if (!refused) return succeeded(`${protocol}: waits for what a stranger has to say`)
    const bytes = await answer
    const said = bytes === null ? 'nothing' : Buffer.from(bytes)
    if (said !== 'nothing' && !said.equals(unknownDevice)) return succeeded(`${protocol}: answers a stranger`)
  }
  const message = { id: 'a'.repeat(22), kind: 'text', body: 'hello', at: 0 }
  for (const protocol of protocols) {
    await stranger.askBytes(addressOf(alice), new TextEncoder().encode(JSON.stringify(message)), { protocol })
  }
  if (notes.calls() > 0 || alice.inbox().length > 0) return succeeded('a handler was called')
  return withstood(`${protocols.length} protocols: refused before a byte was sent`)
}

function ended(stream: Stream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.status !== 'open') resolve()
    else stream.addEventListener('close', () => resolve(), { once: true })
  })
}
