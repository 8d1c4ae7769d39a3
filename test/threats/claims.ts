import { encodeLoosely, fresh } from './by-hand.ts'
import { HandJoiner } from './hand-joiner.ts'
import { endOf, pairNodes, until, type Scene } from './scene.ts'
import { succeeded, unless, type Threat, type Verdict } from './threat.ts'

/** Messages that say who they are from. */
export const threats: Threat[] = [
  {
    row: 6,
    title: 'extra fields that claim a key or an id are refused',
    attack: claimIdentity,
    without: [
      {
        what: 'strict messages',
        patches: [
          {
            file: 'src/pairing/pairing-messages.ts',
            find: `v.strictObject({\n    type: v.literal('PairingRequest')`,
            replace: `v.object({\n    type: v.literal('PairingRequest')`,
          },
        ],
      },
      {
        what: 'a strict description',
        patches: [
          {
            file: 'src/pairing/device-info.ts',
            find: `v.strictObject({ name: v.string() })`,
            replace: `v.object({ name: v.string() })`,
          },
        ],
      },
    ],
  },
  {
    row: 6,
    title: "a device with an existing device's name leaves that one untouched",
    attack: takeName,
    without: [
      {
        what: 'names of which each is there once',
        patches: [
          {
            file: 'src/store/trust.ts',
            find: `known?.name ?? availableName(provisional.name, taken)`,
            replace: `(availableName(provisional.name, taken), provisional.name)`,
          },
        ],
      },
    ],
  },
]

async function claimIdentity(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const phone = await scene.node('phone')
  await pairNodes(alice, phone)
  const claims = {
    peerId: phone.peerId,
    deviceId: phone.id,
    publicKey: fresh().nonce,
    pairKey: fresh().nonce,
  }
  const invitation = await alice.pair()
  const thief = await HandJoiner.start(scene, alice, invitation.words)
  for (const [key, value] of Object.entries(claims)) {
    const answer = await thief.send(encodeLoosely({ ...thief.candidate.request, [key]: value }))
    if (answer !== null) return succeeded(`a request with ${key} is answered with ${answer.type}`)
  }
  const challenge = await thief.challenge()
  const description = JSON.stringify({ name: 'x', id: phone.id, peerId: phone.peerId })
  const answer = await thief.respond(challenge, { description })
  if (answer !== null) return succeeded(`a description with a peer id is answered with ${answer.type}`)
  const [device, ...more] = alice.devices()
  return unless(
    {
      'there is another device': more.length > 0,
      'the device is another one': device?.peerId !== phone.peerId || device.name !== 'phone',
      'the code is still good': (await endOf(invitation)) !== 'burnt',
    },
    'four fields in the request: silence; two in the description: burnt; the device is untouched',
  )
}

async function takeName(scene: Scene): Promise<Verdict> {
  const alice = await scene.node('alice')
  const phone = await scene.node('phone')
  await pairNodes(alice, phone)
  const before = alice.device('phone')
  await until(() => before.state === 'connected', 'the phone')
  const names: string[] = []
  for (const name of ['phone', 'PHONE', 'ｐhone', ' phone\u200b']) {
    const invitation = await alice.pair()
    const intruder = await HandJoiner.start(scene, alice, invitation.words)
    await intruder.pair({ description: JSON.stringify({ name }) })
    names.push((await invitation.paired).name)
    await intruder.raw.stop()
  }
  const sameName = alice.devices().filter(({ name }) => name === 'phone')
  const answer = await before.ping().catch(() => null)
  return unless(
    {
      'two devices have one name':
        sameName.length !== 1 || new Set(names.map((name) => name.toLowerCase())).size !== names.length,
      'the name leads to another device': sameName[0]?.peerId !== phone.peerId,
      'the device is no longer connected': answer === null,
    },
    `the others are called ${names.join(', ')}`,
  )
}
