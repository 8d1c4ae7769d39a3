import { noPeerIds, noRepetition } from './defences.ts'
import { encodeMessage, type PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { HandJoiner } from './hand-joiner.ts'
import { endOf, type Scene } from './scene.ts'
import { succeeded, unless, withstood, type Threat, type Verdict } from './threat.ts'

/** The same messages once more, from the same peer or from elsewhere. */
export const threats: Threat[] = [
  {
    row: 8,
    title: 'messages 1 and 3, replayed from another peer, are rejected',
    attack: replayFromElsewhere,
    without: [{ what: 'the peer ids in the transcript', patches: [noPeerIds] }],
  },
  {
    row: 8,
    title: 'messages 1 and 3, replayed from the same peer, get the stored answer and have no second effect',
    attack: replayFromTheSame,
    without: [
      { what: 'the stored Challenge', patches: [noRepetition] },
      {
        what: 'the stored answer to a Response',
        patches: [
          {
            file: 'src/pairing/initiator.ts',
            find: `if (winner !== null && winner.attempt.peer === peer) {`,
            replace: `if (winner !== null && winner.attempt.peer === null) {`,
          },
        ],
      },
    ],
  },
  {
    row: 9,
    title: 'message 3 from another peer than message 1 is rejected',
    attack: splice,
    without: [
      {
        what: 'attempts that belong to a peer',
        patches: [
          {
            file: 'src/pairing/initiator-state.ts',
            find: `return attempts.filter((attempt) => attempt.peer === peer)`,
            replace: `return attempts.filter(() => peer !== '')`,
          },
        ],
      },
    ],
  },
]

async function replayFromElsewhere(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const bob = await HandJoiner.start(scene, alice, invitation.words, 'bob')
  const other = await scene.rawPeer()
  const replay = (message: PairingMessage): Promise<PairingMessage | null> => other.ask(bob.address, message)
  const beforeBob = await replay(bob.candidate.request)
  const challenge = await bob.challenge()
  const first = await replay(bob.candidate.request)
  if (beforeBob !== null || first !== null) return succeeded('message 1 is answered')
  const complete = await bob.awaitComplete(challenge)
  if (bob.exchange === undefined) return succeeded('Bob got no further')
  const third = await replay(bob.exchange.response)
  const confirmed = await replay({
    type: 'Confirmed',
    acknowledgement: bob.agree(complete).pair.acknowledgement,
  })
  const done = await bob.confirm(bob.agree(complete))
  return unless(
    {
      'message 3 is answered': third !== null,
      'message 5 is answered': confirmed !== null,
      'the honest pairing failed':
        done?.type !== 'Acknowledged' || (await endOf(invitation, 2_000)) !== 'paired',
    },
    'four replays, silence each time; the honest pairing succeeded',
  )
}

async function replayFromTheSame(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  let questions = 0
  const invitation = await alice.pair({ confirm: async () => ++questions > 0 })
  const bob = await HandJoiner.start(scene, alice, invitation.words, 'bob')
  const challenge = await bob.challenge()
  for (let replay = 0; replay < 20; replay++) {
    if (text(await bob.request()) !== text(challenge))
      return succeeded('the Challenge is another one the next time')
  }
  const complete = await bob.awaitComplete(challenge)
  if (complete?.type !== 'Complete')
    return succeeded(`the Response, sent again, is answered with ${complete?.type ?? 'silence'}`)
  for (let replay = 0; replay < 20; replay++) {
    if (text(await bob.respondAgain()) !== text(complete))
      return succeeded('the answer to the Response is another one')
  }
  const agreement = bob.agree(complete)
  const acknowledged = await bob.confirm(agreement)
  for (let replay = 0; replay < 5; replay++) {
    if (text(await bob.confirm(agreement)) !== text(acknowledged))
      return succeeded('the last word is answered otherwise')
    if (text(await bob.respondAgain()) !== text(complete))
      return succeeded('the answer to the Response is another one')
  }
  return unless(
    {
      'the person was asked more than once': questions !== 1,
      'there is not exactly one device': alice.devices().length !== 1,
      'the pairing failed': (await endOf(invitation, 2_000)) !== 'paired',
    },
    '50 replays: the same bytes each time, one question, one device',
  )
}

function text(message: PairingMessage | null): string {
  return message === null ? 'silence' : Buffer.from(encodeMessage(message)).toString()
}

async function splice(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const bob = await HandJoiner.start(scene, alice, invitation.words, 'bob')
  const carol = await HandJoiner.start(scene, alice, invitation.words, 'carol')
  const challenge = await bob.challenge()
  // Carol finishes what Bob began: with everything he knows, and with her own name in it.
  carol.candidate = bob.candidate
  const answer = await carol.respond(challenge)
  if (answer !== null) return succeeded(`answered with ${answer.type}`)
  const ended = await endOf(invitation)
  if (ended !== 'open') return succeeded(`the invitation is ${ended}`)
  const complete = await bob.awaitComplete(challenge)
  const done = await bob.confirm(bob.agree(complete))
  return done?.type === 'Acknowledged'
    ? withstood('silence, and the one who began can finish')
    : succeeded('the one who began could not finish')
}
