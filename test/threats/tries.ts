import { transcript } from '../../src/pairing/transcript.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { encodeLoosely, makeRequest } from './by-hand.ts'
import { HandJoiner } from './hand-joiner.ts'
import { endOf, stillPairs, type Scene } from './scene.ts'
import { succeeded, unless, withstood, type Threat, type Verdict } from './threat.ts'
import { asPeer } from '../peers.ts'

/** What a code can be tried with, and how often. */
export const threats: Threat[] = [
  {
    row: 18,
    title: 'the ninth valid probe burns the code',
    attack: ninthProbe,
    without: [
      {
        what: 'the limit of eight',
        patches: [
          {
            file: 'src/pairing/initiator.ts',
            find: `if (state.challenges >= maxTries) {`,
            replace: `if (false) {`,
          },
        ],
      },
    ],
  },
  {
    row: 18,
    title: "strangers' probes are never counted",
    attack: uncountedProbes,
    without: [
      {
        what: 'the difference between a right probe and a wrong one',
        patches: [
          {
            file: 'src/pairing/initiator.ts',
            find: `if (requested === null) return silence(state)`,
            replace: `if (requested === null) return silence({ ...state, challenges: state.challenges + 1 })`,
          },
        ],
      },
    ],
  },
  {
    row: 28,
    title: 'another version or suite is refused, and leads to another transcript',
    attack: downgrade,
    without: [
      {
        what: 'the comparison of the suites',
        patches: [
          {
            file: 'src/pairing/initiator-handshake.ts',
            find: `message.suite === suite.name && sameMac(`,
            replace: `sameMac(`,
          },
        ],
      },
      {
        what: 'the comparison of the versions',
        patches: [
          {
            file: 'src/pairing/pairing-messages.ts',
            find: `version: v.literal(pairingVersion)`,
            replace: `version: v.pipe(v.number(), v.transform((): 1 => 1))`,
          },
        ],
      },
    ],
  },
]

async function ninthProbe(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const thief = await HandJoiner.start(scene, alice, invitation.words)
  const answers: string[] = []
  for (let probe = 1; probe <= 9; probe++) {
    answers.push((await thief.request())?.type ?? 'silence')
    thief.renew()
  }
  const ninth = answers.pop()
  return unless(
    {
      'fewer than eight Challenges were given': answers.some((answer) => answer !== 'Challenge'),
      [`the ninth is answered with ${ninth}`]: ninth !== 'Refused',
      'the code is still good': (await endOf(invitation)) !== 'burnt',
    },
    'eight Challenges, then: burnt',
  )
}

async function uncountedProbes(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const other = await alice.pair()
  const invitation = await alice.pair()
  const keysOfAnother = await HandJoiner.start(scene, alice, other.words)
  const withOtherWords = await HandJoiner.start(scene, alice, nobodysWords)
  for (let probe = 0; probe < 100; probe++) {
    withOtherWords.renew()
    await withOtherWords.request()
  }
  // Words that are right for another code of the same device.
  await keysOfAnother.request()
  const works = await stillPairs(scene, alice, invitation)
  return works
    ? withstood('101 probes with other words; the code still pairs')
    : succeeded('strangers used the code up')
}

const nobodysWords = `${'abandon '.repeat(11)}about`

async function downgrade(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const thief = await HandJoiner.start(scene, alice, invitation.words)
  const { request } = thief.candidate
  const older = { ...suite1, name: 'null-suite' }
  const ids = [alice.peerId, thief.raw.peerId] as const
  if (Buffer.from(transcript.start(older, ...ids)).equals(transcript.start(suite1, ...ids))) {
    return succeeded('both suites lead to the same transcript')
  }
  const texts = [
    { ...request, suite: 'null-suite' },
    { ...request, suite: '' },
    { ...request, version: 0 },
    { ...request, version: 2 },
    { ...request, version: '1' },
  ].map((message) => encodeLoosely(message))
  for (const text of texts) {
    const answer = await thief.send(text)
    if (answer !== null) return succeeded(`answered with ${answer.type}`)
  }
  // With a probe that is right for the other suite's own transcript.
  const own = { ...thief.context, suite: older }
  thief.candidate = makeRequest(own, asPeer(alice.peerId))
  const answer = await thief.request()
  if (answer !== null) return succeeded(`answered with ${answer.type}`)
  return (await stillPairs(scene, alice, invitation))
    ? withstood('silence for two other suites and three other versions; another transcript')
    : succeeded('the code no longer works')
}
