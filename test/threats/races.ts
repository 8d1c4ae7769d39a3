import { noProbe, noRepetition } from './defences.ts'
import { fresh } from './by-hand.ts'
import { HandInitiator } from './hand-initiator.ts'
import { HandJoiner } from './hand-joiner.ts'
import { addressOf, endOf, outcomeOf, pause, tryJoin, type Scene } from './scene.ts'
import { succeeded, unless, withstood, type Threat, type Verdict } from './threat.ts'

/** One code, used by several, again, or over many ways. */
export const threats: Threat[] = [
  {
    row: 13,
    title: 'of two joiners that race for one code exactly one wins, always',
    attack: race,
    seconds: 8,
    without: [
      {
        what: 'the single step that verifies and consumes',
        patches: [
          {
            file: 'src/pairing/initiator.ts',
            find: `if (state.phase !== 'open') {`,
            replace: `if (false) {`,
          },
        ],
      },
    ],
  },
  {
    row: 14,
    title: 'a used code pairs nobody; a holder of the words is told so, anybody else gets silence',
    attack: useAgain,
    without: [
      {
        what: 'the end of a used code',
        patches: [
          {
            file: 'src/pairing/initiator.ts',
            find: `  if (state.phase !== 'open') return answer(state, refuseRequest(context, requested, reasonFor(state)))\n`,
            replace: ``,
          },
        ],
      },
      {
        what: 'the probe (anybody is told)',
        patches: [noProbe],
      },
    ],
  },
  {
    row: 19,
    title: 'a peer that is reached over eight addresses is one attempt for the joiner',
    attack: manyAddresses,
    without: [
      {
        what: 'candidates that are peers and not addresses',
        patches: [
          {
            file: 'src/network/discovery/given-addresses.ts',
            find: `onCandidate({ peer, addresses: given, urgent: true, given: true })`,
            replace: `for (const one of given) onCandidate({ peer, addresses: [one], urgent: true, given: true })`,
          },
          {
            file: 'src/protocols/candidate-queue.ts',
            find: `if (candidate === undefined || candidate.question !== null) continue\n      const`,
            replace: `if (candidate === undefined) continue\n      const`,
          },
          {
            file: 'src/protocols/candidate-queue.ts',
            find: `if (candidate === undefined || candidate.question !== null) return\n    candidate.cancelTimer()\n    const`,
            replace: `if (candidate === undefined) return\n    candidate.cancelTimer()\n    const`,
          },
          {
            file: 'src/pairing/joiner.ts',
            find: `const seed = state.seed ?? context.suite.extract(fresh.nonce, fresh.secret)`,
            replace: `const seed = context.suite.extract(fresh.nonce, fresh.secret)`,
          },
        ],
      },
    ],
  },
  {
    row: 19,
    title: 'the same request over eight connections is one attempt for the initiator',
    attack: manyConnections,
    without: [{ what: 'the stored Challenge', patches: [noRepetition] }],
  },
]

async function race(scene: Scene): Promise<Verdict> {
  const rounds = 30
  const alice = await scene.node('alice')
  const winners = { first: 0, second: 0 }
  for (let round = 0; round < rounds; round++) {
    const invitation = await alice.pair()
    const racers = [
      await HandJoiner.start(scene, alice, invitation.words, 'first'),
      await HandJoiner.start(scene, alice, invitation.words, 'second'),
    ]
    if (round % 2 === 1) racers.reverse()
    const challenges = await Promise.all(racers.map((racer) => racer.challenge()))
    const answers = await Promise.all(
      racers.map(async (racer, index) => {
        const challenge = challenges[index]
        return challenge === undefined ? null : racer.awaitComplete(challenge)
      }),
    )
    const acknowledged = await Promise.all(
      racers.map(async (racer, index) => {
        const answer = answers[index] ?? null
        return answer?.type === 'Complete' ? racer.confirm(racer.agree(answer)) : null
      }),
    )
    const won = acknowledged.filter((answer) => answer?.type === 'Acknowledged')
    const devices = alice.devices().length
    if (won.length !== 1 || devices !== round + 1)
      return succeeded(`${won.length} winners in round ${round + 1}, ${devices} devices`)
    if (answers.filter((answer) => answer?.type === 'Refused').length !== 1)
      return succeeded('the loser is not told')
    winners[(acknowledged[0] === null) === (round % 2 === 1) ? 'first' : 'second']++
    await Promise.all(racers.map(({ raw }) => raw.stop()))
  }
  // Two whole nodes, without a look inside.
  const invitation = await alice.pair()
  const nodes = await Promise.all([scene.node('bob'), scene.node('carol')])
  const joined = await Promise.all(nodes.map((node) => tryJoin(node, invitation.words, [addressOf(alice)])))
  const paired = joined.filter((each) => typeof each !== 'string')
  if (paired.length !== 1) return succeeded(`${paired.length} of two nodes are paired`)
  return withstood(`${rounds + 1} rounds, one winner in each (${winners.first} times the first)`)
}

async function useAgain(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const bob = await scene.node('bob')
  const invitation = await alice.pair()
  await tryJoin(bob, invitation.words, [addressOf(alice)])
  await invitation.paired
  const thief = await HandJoiner.start(scene, alice, invitation.words)
  const told = await thief.request()
  const stranger = await scene.rawPeer()
  const guess = { ...thief.candidate.request, probe: fresh().nonce.slice(0, 16) }
  const toStranger = await stranger.ask(addressOf(alice), guess)
  const replayed = await stranger.ask(addressOf(alice), thief.candidate.request)
  const carol = await scene.node('carol')
  const joined = await tryJoin(carol, invitation.words, [addressOf(alice)], { timeoutMs: 3_000 })
  const says = outcomeOf(joined)
  return unless(
    {
      [`a holder of the words gets ${told?.type ?? 'silence'}`]:
        told?.type !== 'Refused' || told.reason !== 'used',
      'a stranger gets an answer': toStranger !== null || replayed !== null,
      [`a node with the words: ${says}`]: says !== 'used',
      'there is a second device': alice.devices().length !== 1,
    },
    'a holder of the words: used; a stranger: silence; one device',
  )
}

async function manyAddresses(scene: Scene): Promise<Verdict> {
  const bob = await scene.node('bob')
  const commitments = new Set<string>()
  const enough = new AbortController()
  let requests = 0
  const initiator = await HandInitiator.start(scene, (own, message, peer) => {
    if (message.type === 'PairingRequest') {
      commitments.add(Buffer.from(message.commitment).toString('hex'))
      if (commitments.size > 1) enough.abort(new Error('enough'))
      // Silent at first, so that the joiner would have all the time to come over the other addresses.
      if (requests++ < 3) return null
    }
    return own.honest(message, peer)
  })
  const [, , , , port = ''] = initiator.raw.address.split('/')
  const hosts = Array.from({ length: 8 }, (_, index) => `127.0.0.${index + 1}`)
  const peers = hosts.map((host) => `/ip4/${host}/tcp/${port}/p2p/${initiator.raw.peerId}`)
  const joined = await tryJoin(bob, initiator.words, peers, { signal: enough.signal }).catch(() => 'given up')
  return unless(
    {
      'each address is an attempt': commitments.size > 1,
      'the joiner did not get through': typeof joined === 'string',
    },
    `${peers.length} addresses, ${requests} requests, one commitment; paired`,
  )
}

async function manyConnections(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const invitation = await alice.pair()
  const thief = await HandJoiner.start(scene, alice, invitation.words)
  const challenges = new Set<string>()
  // Nine times eight: as nine attempts it would also burn the code.
  const connections = []
  for (let index = 0; index < 8; index++)
    connections.push(await thief.raw.connect(thief.address, { force: true }))
  for (let round = 0; round < 9; round++) {
    const answers = await Promise.all(
      connections.map((connection) => thief.raw.ask(thief.address, thief.candidate.request, { connection })),
    )
    for (const answer of answers) challenges.add(JSON.stringify(answer))
  }
  await pause(10)
  return unless(
    {
      [`${challenges.size} different answers`]: challenges.size !== 1,
      'the code is not good any more': (await endOf(invitation)) !== 'open',
      'there was one connection only': new Set(connections).size < 8,
    },
    `${new Set(connections).size} connections, 72 requests, one Challenge`,
  )
}
