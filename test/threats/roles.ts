import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { makeRequest } from './by-hand.ts'
import { HandInitiator } from './hand-initiator.ts'
import { HandJoiner } from './hand-joiner.ts'
import { addressOf, outcomeOf, pause, stillPairs, tryJoin, type Scene } from './scene.ts'
import { succeeded, unless, withstood, type Patch, type Threat, type Verdict } from './threat.ts'

/** What the original did: whoever said that the pairing was complete was paired. */
const believesComplete: Patch = {
  file: 'src/protocols/pairing-service.ts',
  find: `      case 'Complete':\n`,
  replace: `      case 'Complete': {
        const nothing = new Uint8Array(32)
        const pair = { peer, name: 'intruder', pairKey: nothing, acknowledgement: nothing }
        this.#components.trust.writeProvisional('pending', pair)
        this.#components.trust.activate(pair)
        return { type: 'Acknowledged' }
      }\n`,
}

/** Messages in the wrong direction, or at the wrong time. */
export const threats: Threat[] = [
  {
    row: 4,
    title: 'messages for the other role are closed upon and change nothing',
    attack: confuseRoles,
    without: [
      { what: 'the rule that nobody opens with a Complete', patches: [believesComplete] },
      {
        what: 'the rule that a joiner answers no requests',
        patches: [
          {
            file: 'src/protocols/pairing-service.ts',
            find: `    this.#joins.add(runner)\n`,
            replace: `    this.#joins.add(runner)
    const observer = { progress() {}, obstacle: () => null, otherVersion: () => null }
    const confused = new InvitationRunner(this.#components, keys, { observer }, this.#exchanges)
    this.#invitations.add(confused)\n`,
          },
        ],
      },
    ],
  },
  {
    row: 5,
    title: 'a Complete that nobody waits for, or with a bad proof, writes nothing',
    attack: falseComplete,
    without: [
      { what: 'the rule that nobody opens with a Complete', patches: [believesComplete] },
      {
        what: 'the check of its proof',
        patches: [
          {
            file: 'src/pairing/joiner-handshake.ts',
            find: `  if (!sameMac(message.proof, suite.mac(keys.initiatorProof, completed))) return null\n`,
            replace: ``,
          },
        ],
      },
    ],
  },
  {
    row: 7,
    title: "a joiner's proof echoed back is rejected",
    attack: echoProof,
    without: [
      {
        what: 'a key and a transcript for each role',
        patches: [
          {
            file: 'src/pairing/joiner-handshake.ts',
            find: `suite.mac(keys.initiatorProof, completed)`,
            replace: `suite.mac(keys.joinerProof, responded)`,
          },
        ],
      },
    ],
  },
]

async function confuseRoles(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const thief = await HandJoiner.start(scene, alice, invitation.words)
  const forInitiators: PairingMessage[] = [
    { type: 'Challenge', nonce: bytes(32), share: bytes(32), probe: bytes(16) },
    { type: 'Complete', sealed: bytes(272), proof: bytes(32) },
    { type: 'Waiting' },
    { type: 'Refused', reason: 'used', mac: bytes(32) },
    { type: 'Acknowledged' },
  ]
  for (const message of forInitiators) {
    const answer = await thief.send(message)
    if (answer !== null) return succeeded(`the initiator answers ${message.type} with ${answer.type}`)
  }

  // A joiner that asks us is asked in return, with the words it holds itself.
  const answers: (PairingMessage | null)[] = []
  const bob = await scene.node('bob')
  const evil = await HandInitiator.start(scene, (own, message, peer) => {
    if (message.type !== 'PairingRequest') return null
    const { request } = makeRequest(own.context, peer)
    void own.raw.ask(addressOf(bob), request).then((answer) => answers.push(answer))
    return request
  })
  const joined = await tryJoin(bob, evil.words, [evil.raw.address], { timeoutMs: 1_000 })
  if (joined !== 'not-found') return succeeded(`a joiner that is asked: ${outcomeOf(joined)}`)
  if (answers.some((answer) => answer !== null)) return succeeded('a joiner answered a request')
  return unless(
    {
      'the joiner was not asked': answers.length === 0,
      'somebody was written down': alice.devices().length > 0 || bob.devices().length > 0,
      'the code no longer works': !(await stillPairs(scene, alice, invitation)),
    },
    `five messages to the initiator, ${answers.length} requests to the joiner: silence, and the code still works`,
  )
}

async function falseComplete(scene: Scene): Promise<Verdict> {
  const dataDir = scene.directory()
  const bob = await scene.node('bob', { dataDir })
  const stranger = await scene.rawPeer()
  const unasked = await stranger.ask(addressOf(bob), {
    type: 'Complete',
    sealed: bytes(272),
    proof: bytes(32),
  })
  if (unasked !== null) return succeeded(`a Complete out of nothing is answered with ${unasked.type}`)

  const early = await HandInitiator.start(scene, () => ({
    type: 'Complete',
    sealed: bytes(272),
    proof: bytes(32),
  }))
  const first = await tryJoin(bob, early.words, [early.raw.address], { timeoutMs: 700 })
  if (first !== 'not-found') return succeeded('a Complete in place of the Challenge is taken')

  const proofs: Record<string, (completed: Uint8Array) => Uint8Array> = {
    'at random': () => bytes(32),
    'of zeros': () => new Uint8Array(32),
    'with one bit changed': (completed) => completed.with(0, (completed[0] ?? 0) ^ 1),
  }
  let refused = 0
  for (const [what, proof] of Object.entries(proofs)) {
    const giveUp = new AbortController()
    const evil = await HandInitiator.start(scene, (own, message, peer) => {
      if (message.type !== 'Response') return own.honest(message, peer)
      // After three refusals it is clear that he waits for the right one.
      if (own.heard.length > 4) giveUp.abort(new Error('enough'))
      own.complete = undefined
      return own.completeOf(message, peer, (completed) => {
        const right = own.context.suite.mac(own.opened(message, peer).keys.initiatorProof, completed)
        return proof(right)
      })
    })
    const joined = await bob
      .join(evil.words, { peers: [evil.raw.address], timeoutMs: 5_000, signal: giveUp.signal })
      .catch(() => null)
    if (joined !== null) return succeeded(`a Complete with a proof ${what} is taken`)
    refused++
  }
  await bob.close()
  const rows = trustRows(dataDir)
  return rows === 0
    ? withstood(`${refused + 2} false ones; no row was written`)
    : succeeded(`${rows} rows were written`)
}

/** The rows on the disk, of whatever state. */
function trustRows(dataDir: string): number {
  const database = new DatabaseSync(join(dataDir, 'spacedock.db'))
  const row = database.prepare('SELECT COUNT(*) AS count FROM trust').get()
  database.close()
  return Number(row?.['count'])
}

async function echoProof(scene: Scene): Promise<Verdict> {
  const bob = await scene.node('bob')
  const giveUp = new AbortController()
  let echoes = 0
  const evil = await HandInitiator.start(scene, (own, message, peer) => {
    if (message.type !== 'Response') return own.honest(message, peer)
    if (echoes++ > 2) giveUp.abort(new Error('enough'))
    // Either all of it, or a right seal and the joiner's own proof.
    if (echoes % 2 === 1) return { type: 'Complete', sealed: message.sealed, proof: message.proof }
    own.complete = undefined
    return own.completeOf(message, peer, () => message.proof)
  })
  const joined = await bob
    .join(evil.words, { peers: [evil.raw.address], timeoutMs: 5_000, signal: giveUp.signal })
    .catch(() => null)
  await pause(50)
  return unless(
    { 'Bob is paired with his own echo': joined !== null, 'nothing was echoed': echoes === 0 },
    `${echoes} echoes, none taken; ${bob.devices().length} devices`,
  )
}

function bytes(length: number): Uint8Array {
  return new Uint8Array(randomBytes(length))
}
