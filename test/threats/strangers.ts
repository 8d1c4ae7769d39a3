import { noPeerIds, noProbe } from './defences.ts'
import { randomBytes } from 'node:crypto'
import type { PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { requestProbe } from '../../src/pairing/proofs.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { transcript } from '../../src/pairing/transcript.ts'
import { contextOf, makeRequest } from './by-hand.ts'
import { HandJoiner } from './hand-joiner.ts'
import { addressOf, endOf, stillPairs, tryJoin, type Scene } from './scene.ts'
import { succeeded, unless, withstood, type Threat, type Verdict } from './threat.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'
import { asPeer } from '../peers.ts'

/** Attacks by those who do not have the words. */
export const threats: Threat[] = [
  {
    row: 1,
    title: '(a) a man in the middle without the words gets silence, and the honest pairing succeeds',
    attack: relayWithoutWords,
    without: [
      {
        what: 'the peer ids in the transcript',
        patches: [noPeerIds],
      },
    ],
  },
  {
    row: 2,
    title:
      '10,000 requests by somebody who knows all that is public get no Challenge, and the code still works',
    attack: guessFromPublicThings,
    seconds: 20,
    without: [
      {
        what: 'the check of the probe',
        patches: [noProbe],
      },
      {
        what: 'a secret probe key (it is the session id)',
        patches: [
          {
            file: 'src/pairing/key-schedule.ts',
            find: `probeKey: suite.expand(key, bytes('probe-key'), 32)`,
            replace: `probeKey: suite.expand(key, bytes('session-id'), 16)`,
          },
        ],
      },
    ],
  },
  {
    row: 41,
    title: "a stranger's Cancel, Waiting and Confirmed are ignored by the initiator",
    attack: (scene) => disturbInitiator(scene),
    without: [
      {
        what: 'the check of the Cancel',
        patches: [
          {
            file: 'src/pairing/initiator.ts',
            find: `  if (attempt === undefined || !verifyCancel(context, attempt, message)) return silence(state)`,
            replace: `  if (attempt === undefined) return end(context, state, 'cancelled')`,
          },
        ],
      },
      {
        what: 'the check of the Confirmed',
        patches: [
          {
            file: 'src/pairing/initiator.ts',
            find: `if (!verifyAcknowledgement(state.agreement.pair, peer, message)) return silence(state)`,
            replace: `peer = state.agreement.pair.peer`,
          },
        ],
      },
    ],
  },
]

/** Between Bob and Alice, passing on to each what the other says. */
async function relayWithoutWords(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const bob = await scene.node('bob')
  const mallory = await scene.rawPeer()
  const invitation = await alice.pair()
  let relayed = 0
  let answers = 0
  await mallory.serve(async (message) => {
    relayed++
    const answer = await mallory.ask(addressOf(alice), message)
    if (answer !== null) answers++
    return answer
  })
  // Alice's own address comes later, when Mallory has had all the time he wants with Bob.
  const early = await tryJoin(bob, invitation.words, [mallory.address], { timeoutMs: 1_500 })
  const through = typeof early === 'string' ? null : early.peerId
  const late = await tryJoin(bob, invitation.words, [mallory.address, addressOf(alice)])
  return unless(
    {
      'Bob is paired with the man in the middle': through === mallory.peerId,
      'Alice answered a message of Bob that somebody else sent': answers > 0,
      'the honest pairing failed': typeof late === 'string' || late.peerId !== alice.peerId,
      'nothing was relayed': relayed === 0,
    },
    `${relayed} messages relayed, silence each time; the honest pairing succeeded`,
  )
}

async function guessFromPublicThings(scene: Scene): Promise<Verdict> {
  const requests = 10_000
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const peers = await Promise.all(Array.from({ length: 12 }, () => scene.rawPeer()))
  let sent = 0
  let challenges = 0
  await Promise.all(
    peers.map(async (peer) => {
      const connection = await peer.connect(addressOf(alice))
      for (; sent < requests && challenges === 0;) {
        const guess = guessProbe(sent++, invitation.sessionId, asPeer(alice.peerId), peer.peerId)
        if ((await peer.ask(addressOf(alice), guess, { connection })) !== null) challenges++
      }
    }),
  )
  if (challenges > 0) return succeeded(`an answer after ${sent} requests`)
  if (!(await stillPairs(scene, alice, invitation))) return succeeded('the code no longer works')
  return withstood(`${sent} requests, silence each time; the code still works`)
}

/** As good as it gets without the words: real keys, made of everything that a bystander can know. */
function guessProbe(index: number, sessionId: string, initiator: PeerId, joiner: string): PairingMessage {
  const session = new Uint8Array(Buffer.from(sessionId, 'hex'))
  const utf8 = new TextEncoder()
  const secrets = [
    session,
    utf8.encode(sessionId),
    utf8.encode(initiator),
    utf8.encode(joiner),
    new Uint8Array(16),
    new Uint8Array(32),
    suite1.hash(session),
    new Uint8Array(randomBytes(16)),
  ]
  const probeKey = secrets[index % secrets.length] ?? session
  const keys = {
    sessionId: session,
    signingKey: session,
    recordKey: session,
    joinerSigningKey: session,
    joinerRecordKey: session,
    probeKey,
    announcementKey: session,
    authKey: session,
  }
  const context = contextOf(keys, joiner)
  const { request } = makeRequest(context, initiator)
  if (index % 3 === 0) return request
  // The same with the roles exchanged, and with the probe left to chance.
  const start = transcript.start(suite1, joiner, initiator)
  const probe = requestProbe(context, start, request.commitment)
  return { ...request, probe: index % 3 === 1 ? probe : new Uint8Array(randomBytes(16)) }
}

async function disturbInitiator(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<boolean>()
  const invitation = await alice.pair({
    confirm: () => {
      asked.resolve()
      return answer.promise
    },
  })
  const stranger = await scene.rawPeer()
  const bob = await HandJoiner.start(scene, alice, invitation.words, 'bob')
  const answers: (PairingMessage | null)[] = []
  const disturb = async (): Promise<void> => {
    const guesses: PairingMessage[] = [
      { type: 'Cancel', mac: new Uint8Array(randomBytes(32)) },
      { type: 'Cancel', mac: new Uint8Array(32) },
      { type: 'Waiting' },
      { type: 'Acknowledged' },
      { type: 'Confirmed', acknowledgement: new Uint8Array(randomBytes(32)) },
    ]
    for (const guess of guesses) answers.push(await stranger.ask(addressOf(alice), guess))
  }
  await disturb()
  const challenge = await bob.challenge().catch(() => null)
  if (challenge === null) return succeeded(`the invitation is ${await endOf(invitation)}`)
  await disturb()
  const waiting = bob.respond(challenge)
  await asked.promise
  await disturb()
  answer.resolve(true)
  await waiting
  const complete = await bob.awaitComplete(challenge)
  if (complete?.type !== 'Complete') return succeeded(`the invitation is ${await endOf(invitation)}`)
  await disturb()
  const early = await endOf(invitation)
  const acknowledged = await bob.confirm(bob.agree(complete))
  return unless(
    {
      'a stranger finished the pairing of others': early === 'paired',
      'a stranger got an answer': answers.some((each) => each !== null),
      'the honest pairing failed':
        acknowledged?.type !== 'Acknowledged' || (await endOf(invitation, 2_000)) !== 'paired',
    },
    `${answers.length} messages in five phases, silence each time; the honest pairing succeeded`,
  )
}
