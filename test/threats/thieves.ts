import { transcript } from '../../src/pairing/transcript.ts'
import { suite1 } from '../../src/pairing/suite.ts'
import { challengeWith, commitTo, fresh, makeResponse } from './by-hand.ts'
import { HandInitiator } from './hand-initiator.ts'
import { HandJoiner } from './hand-joiner.ts'
import { deriveDigits } from '../../src/pairing/key-schedule.ts'
import { endOf, outcomeOf, tryJoin, type Scene } from './scene.ts'
import { succeeded, unless, withstood, type Patch, type Threat, type Verdict } from './threat.ts'
import { asPeer } from '../peers.ts'

const noCommitment: Patch = {
  file: 'src/pairing/initiator-handshake.ts',
  find: `  if (!opensCommitment(context, attempt, response)) return null\n`,
  replace: ``,
}

/** Attacks by those who have stolen the words. */
export const threats: Threat[] = [
  {
    row: 1,
    title: '(b) a man in the middle with the words cannot make both screens show the same digits',
    attack: equalDigits,
    without: [
      {
        what: 'the commitment (and with four digits, to be quick)',
        patches: [
          noCommitment,
          { file: 'src/pairing/key-schedule.ts', find: `number % 1_000_000n`, replace: `number % 10_000n` },
        ],
      },
    ],
  },
  {
    row: 10,
    title: 'a nonce or share that does not open the commitment burns the code',
    attack: wrongOpening,
    without: [{ what: 'the check of the commitment', patches: [noCommitment] }],
  },
  {
    row: 12,
    title: 'shares of low order (RFC 7748) abort',
    attack: lowOrderShares,
    without: [
      {
        what: 'the check for the all-zero secret',
        patches: [
          {
            file: 'src/pairing/curve25519.ts',
            find: `return null // no share, or the all-zero result`,
            replace: `return new Uint8Array(32)`,
          },
        ],
      },
    ],
  },
]

/** He joins Alice, lets Bob join him, and looks for a way to the digits that Bob's screen shows. */
async function equalDigits(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const bob = await scene.node('bob')
  let onAlicesScreen = ''
  let onBobsScreen = ''
  const invitation = await alice.pair({
    confirm: async ({ digits }) => {
      onAlicesScreen = digits
      return false
    },
  })
  const bobWaits = Promise.withResolvers<void>()
  const towardsBob = await HandInitiator.start(
    scene,
    (own, message, peer) => {
      if (message.type === 'Response') {
        onBobsScreen = own.opened(message, peer).digits
        bobWaits.resolve()
        return { type: 'Waiting' }
      }
      return message.type === 'PairingRequest' ? own.challenge(message, peer) : null
    },
    invitation.words,
  )
  const giveUp = new AbortController()
  const joining = tryJoin(bob, invitation.words, [towardsBob.raw.address], {
    signal: giveUp.signal,
    onProgress: (progress) => {
      if (progress.kind === 'digits') onBobsScreen = progress.digits
    },
  }).catch(() => 'given up')
  await bobWaits.promise

  // Seven aborted attempts; whichever would show Bob's digits would be the one that he finishes.
  const towardsAlice = await HandJoiner.start(scene, alice, invitation.words)
  let challenge = await towardsAlice.challenge()
  for (let attempt = 1; attempt < 8 && digitsFor(towardsAlice, challenge) !== onBobsScreen; attempt++) {
    towardsAlice.renew()
    challenge = await towardsAlice.challenge()
  }
  // What he has committed to shows other digits, so he tries to open something else.
  const nonce =
    digitsFor(towardsAlice, challenge) === onBobsScreen
      ? undefined
      : grind(towardsAlice, challenge, onBobsScreen)
  await towardsAlice.respond(challenge, nonce === undefined ? {} : { nonce })
  giveUp.abort()
  await joining
  return unless(
    { [`both screens show ${onBobsScreen}`]: onAlicesScreen !== '' && onAlicesScreen === onBobsScreen },
    `8 attempts, then another opening: Bob's screen shows ${onBobsScreen}, Alice's ${onAlicesScreen || 'nothing'}; ${await endOf(invitation)}`,
  )
}

function digitsFor(
  { context, candidate }: HandJoiner,
  challenge: Parameters<typeof makeResponse>[2],
): string {
  return makeResponse(context, candidate, challenge).digits
}

/** A nonce under which the digits are the wanted ones; undefined after 50,000 tries. */
function grind(
  { context, candidate }: HandJoiner,
  challenge: Parameters<typeof makeResponse>[2],
  wanted: string,
): Uint8Array | undefined {
  const { keys, response } = makeResponse(context, candidate, challenge)
  const challenged = transcript.challenge(suite1, candidate.requested, challenge.nonce, challenge.share)
  const nonce = new Uint8Array(32)
  for (let attempt = 0; attempt < 50_000; attempt++) {
    new DataView(nonce.buffer).setUint32(0, attempt)
    if (deriveDigits(suite1, keys, transcript.opening(suite1, challenged, nonce, response.share)) === wanted)
      return nonce
  }
  return new Uint8Array(32)
}

async function wrongOpening(scene: Scene): Promise<Verdict> {
  const seen: string[] = []
  for (const what of ['nonce', 'share'] as const) {
    const alice = await scene.node('alice')
    const invitation = await alice.pair()
    const thief = await HandJoiner.start(scene, alice, invitation.words)
    const challenge = await thief.challenge()
    // The other share's secret is known too, so all but the commitment is right.
    const other = fresh()
    const forgery = what === 'nonce' ? { nonce: other.nonce } : { share: suite1.publicShare(other.secret) }
    if (what === 'share') thief.candidate = { ...thief.candidate, secret: other.secret }
    const answer = await thief.respond(challenge, forgery)
    if (answer !== null) return succeeded(`another ${what} is answered with ${answer.type}`)
    if ((await endOf(invitation)) !== 'burnt') return succeeded('the code is still good')
    seen.push(what)
  }
  return withstood(`${seen.join(' and ')}: silence, and the code is burnt`)
}

/** The points of small order, https://cr.yp.to/ecdh.html, without and with the bit that RFC 7748 wants to be ignored. */
const lowOrderPoints = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].flatMap((hex) => {
  const point = new Uint8Array(Buffer.from(hex, 'hex'))
  return [point, point.with(31, (point[31] ?? 0) | 0x80)]
})

/** Whoever sends one knows the secret: zeros, whatever the other side contributes. */
const zeroSecret = { ...suite1, sharedSecret: () => new Uint8Array(32) }

async function lowOrderShares(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  for (const share of lowOrderPoints) {
    const invitation = await alice.pair()
    const thief = await HandJoiner.start(scene, alice, invitation.words)
    const { nonce } = fresh()
    thief.candidate = commitTo(thief.context, asPeer(alice.peerId), { nonce, share })
    const answer = await thief.respond(await thief.challenge(), { nonce, share, suite: zeroSecret })
    if (answer !== null)
      return succeeded(`${Buffer.from(share).toString('hex').slice(0, 8)}... is answered with ${answer.type}`)
    if ((await endOf(invitation)) !== 'burnt') return succeeded('the code is still good')
    await thief.raw.stop()
  }
  const bob = await scene.node('bob')
  for (const share of lowOrderPoints) {
    const evil = await HandInitiator.start(scene, (own, message, peer) =>
      message.type === 'PairingRequest'
        ? challengeWith(own.context, message, peer, { nonce: fresh().nonce, share })
        : null,
    )
    const joined = await tryJoin(bob, evil.words, [evil.raw.address], { timeoutMs: 300 })
    if (joined !== 'not-found') return succeeded(`Bob: ${outcomeOf(joined)}`)
    if (evil.heard.some(({ type }) => type === 'Response')) return succeeded('Bob answered such a Challenge')
    await evil.raw.stop()
  }
  return withstood(`${lowOrderPoints.length} points to each side: no answer`)
}
