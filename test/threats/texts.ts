import * as v from 'valibot'
import { defineProtocol } from '../../src/network/application/application-protocols.ts'
import { SpacedockError } from '../../src/errors.ts'
import { HandJoiner } from './hand-joiner.ts'
import { openSessionByHand } from './hand-session.ts'
import { RealDaemon } from './real-daemon.ts'
import { codeOf, type Scene } from './scene.ts'
import { encodeLoosely } from './by-hand.ts'
import { succeeded, unless, withstood, type Threat, type Verdict } from './threat.ts'
import { call } from '../network/session/calls.ts'

/** Names and keys that mean more to a program or a terminal than to a person. */
export const threats: Threat[] = [
  {
    row: 26,
    title: '`__proto__` and `constructor` as keys, ids and names change no prototype and find nothing',
    attack: nameThePrototype,
    without: [
      {
        what: 'the refusal of __proto__ as a key',
        patches: [
          {
            file: 'src/network/json-text.ts',
            find: `mayNamePrototype(text) ? JSON.parse(text, refusePrototypeKey) : JSON.parse(text)`,
            replace: `JSON.parse(text)`,
          },
        ],
      },
    ],
  },
  {
    row: 26,
    title: "the daemon's methods are its own, whatever an object inherits",
    attack: callInherited,
    without: [
      {
        what: 'the look at own methods only',
        patches: [
          {
            file: 'src/daemon/daemon-api.ts',
            find: `Object.hasOwn(methods, name)`,
            replace: `name in methods`,
          },
        ],
      },
    ],
  },
  {
    row: 27,
    title:
      'names and messages with ANSI, bidi, line breaks and 10 kB are harmless in terminal and log (no page yet)',
    attack: evilNames,
    seconds: 20,
    without: [
      {
        what: 'the cleaning of names and of what is printed',
        patches: [
          {
            file: 'src/pairing/device-name.ts',
            find: `return truncate(visible).trim() || fallbackName`,
            replace: `return visible === '' ? truncate(fallbackName) : name`,
          },
          {
            file: 'src/daemon/printable.ts',
            find: `  return stripVTControlCharacters(text)\n`,
            replace: `  if (text !== '') return text\n  return stripVTControlCharacters(text)\n`,
          },
          {
            file: 'src/store/trust-record.ts',
            find: `v.regex(/^[^\\p{Cc}\\p{Cs}]+$/u)`,
            replace: `v.regex(/^/u)`,
          },
        ],
      },
    ],
  },
]

async function nameThePrototype(scene: Scene): Promise<Verdict> {
  const before = Object.getOwnPropertyNames(Object.prototype).join()
  const alice = await scene.node('alice')
  const anything = v.unknown()
  // As an application might do it, and as many have.
  alice.handle(
    defineProtocol({
      name: 'settings',
      version: 1,
      request: anything,
      response: anything,
      handler: (changes) => Object.keys(merge({}, changes)).length,
    }),
  )
  const invitation = await alice.pair()
  const phone = await HandJoiner.start(scene, alice, invitation.words)
  for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const text = encodeLoosely({ ...phone.candidate.request })
    const extended = Buffer.from(text).toString().replace('{', `{"${key}":{"polluted":true},`)
    if ((await phone.send(Buffer.from(extended))) !== null)
      return succeeded(`a request with ${key} is answered`)
  }
  const { pair } = await phone.pair({ description: '{"name":"__proto__"}' })
  const device = await invitation.paired
  const session = await openSessionByHand(phone.raw, phone.address, pair.pairKey)
  const texts = [
    '{"__proto__":{"polluted":true}}',
    '{"a":{"__proto__":{"polluted":true}}}',
    '[{"\\u005f_proto__":{"polluted":true}}]',
    '{"constructor":{"prototype":{"polluted":true}}}',
  ]
  for (const text of texts) {
    await session.request(call('settings', 1, JSON.parse(text))).catch(codeOf)
    if ('polluted' in {}) return succeeded(`${text} reaches the prototype`)
  }
  const found = ['constructor', 'toString', '__proto__x', 'hasOwnProperty'].filter((name) => {
    try {
      return alice.device(name) !== undefined
    } catch (error) {
      return !(error instanceof SpacedockError && error.code === 'no-device')
    }
  })
  const protocols = await Promise.all(
    ['constructor', 'tostring', 'hasownproperty'].map((name) =>
      session.request(call(name, 1, null)).catch(codeOf),
    ),
  )
  session.abort(new Error('enough'))
  return unless(
    {
      'Object.prototype has changed': before !== Object.getOwnPropertyNames(Object.prototype).join(),
      [`devices called ${found.join()} are found`]: found.length > 0,
      'the device called __proto__ is not found': alice.device('__proto__').peerId !== device.peerId,
      [`protocols: ${protocols.join()}`]: protocols.some((code) => code !== 'unknown-protocol'),
    },
    `${texts.length} values, 4 messages, 7 names: nothing has changed`,
  )
}

/** A merge that knows nothing of prototypes, apart from the one way that every linter warns of. */
function merge(target: Record<string, unknown>, source: unknown): Record<string, unknown> {
  if (typeof source !== 'object' || source === null) return target
  for (const [key, value] of Object.entries(source)) {
    if (key === 'constructor') continue
    if (typeof value === 'object' && value !== null) {
      target[key] ??= {}
      merge(target[key] as Record<string, unknown>, value)
    } else target[key] = value
  }
  return target
}

async function callInherited(scene: Scene): Promise<Verdict> {
  const daemon = await RealDaemon.start(scene, 'alice')
  const { version } = await import('../../src/version.ts')
  const { connect } = await import('node:net')
  for (const method of ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf']) {
    const socket = connect(`${daemon.dataDir}/daemon.sock`)
    socket.write(`${JSON.stringify({ version, method, params: {} })}\n`)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    if (!answer.includes('"invalid-argument"')) return succeeded(`${method}: ${answer.trim()}`)
  }
  return daemon.log.includes('call-failed')
    ? succeeded('the daemon met a defect')
    : withstood('5 names, no such method')
}

/** Everything but line breaks and tabs that a terminal acts upon, or that nobody sees. */
const acting =
  /(?![\n\t])[\p{Cc}\u061c\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/u

async function evilNames(scene: Scene): Promise<Verdict> {
  const alice = await RealDaemon.start(scene, 'alice')
  const address = await alice.address()
  const { peerId } = await alice.status()
  const names = [
    '\u001b[31mred\u001b[0m\u001b]0;title\u0007\u001b[2J',
    'evil\u202Egpj.exe\u2066x\u200f',
    'one\nforged line\r\nforged line\u2028forged line',
    '\u009b31mC1\u0085\u0007\u0008\u0008',
    '\u{e0001}\u{e0041}tag\u200b\ufeff\u00ad',
    'x'.repeat(235),
  ]
  const messages = ['\u001b[2J\u001b[31mred', 'a\u202Eb\u2066c', 'bell\u0007', 'y'.repeat(10_000)]
  for (const [index, name] of names.entries()) {
    const pairing = alice.spawn(['pair', '--yes'])
    const words = await pairing.line((line) => line.trim().split(' ').length === 12)
    const joiner = await HandJoiner.start(scene, { peerId, status: () => ({ listen: [address] }) }, words)
    const { pair } = await joiner.pair({ description: JSON.stringify({ name }) })
    const { stdout, stderr } = await pairing.finished()
    alice.printed.push(stdout, stderr)
    const session = await openSessionByHand(joiner.raw, address, pair.pairKey)
    const body = messages[index % messages.length] ?? ''
    const message = { id: `message-${index}-${'0'.repeat(16)}`, kind: 'text', body, at: 0 }
    await session.request(call('spacedock-message', 1, { messages: [message] }))
    session.abort(new Error('enough'))
    await joiner.raw.stop()
  }
  // Ten kilobytes do not fit into any message that carries a name.
  const long = alice.spawn(['pair', '--yes'])
  const words = await long.line((line) => line.trim().split(' ').length === 12)
  const joiner = await HandJoiner.start(scene, { peerId, status: () => ({ listen: [address] }) }, words)
  const challenge = await joiner.challenge()
  const response = {
    type: 'Response',
    nonce: bytes(32),
    share: bytes(32),
    sealed: bytes(10_000),
    proof: bytes(32),
  }
  const answer = await joiner.send(encodeLoosely(response))
  if (challenge.type !== 'Challenge' || answer !== null) return succeeded('10 kB of name are answered')
  long.kill('SIGINT')
  await long.finished()

  for (const args of [
    ['devices'],
    ['inbox'],
    ['status'],
    ['devices', '--json'],
    ['inbox', '--json'],
    ['rename', 'xxx', 'y'],
    ['outbox'],
  ]) {
    await alice.run(args)
  }
  for (const text of [...alice.printed, alice.log]) {
    const match = acting.exec(text)
    if (match !== null)
      return succeeded(
        `U+${match[0].codePointAt(0)?.toString(16)} is printed: ${JSON.stringify(text.slice(Math.max(0, match.index - 30), match.index + 20))}`,
      )
    if (text.split('\n').some((line) => line.startsWith('forged line')))
      return succeeded('a name forges a line')
    if (/x{49}/.test(text)) return succeeded('a long name is printed in full')
  }
  const devices = (await alice.run(['devices', '--json'])).stdout.trim().split('\n').length
  return unless(
    { [`${devices} devices were paired`]: devices !== names.length },
    `${names.length} names, ${messages.length} messages, ${alice.printed.length} outputs and the log: plain text`,
  )
}

function bytes(length: number): Uint8Array {
  return new Uint8Array(length)
}
