import assert from 'node:assert/strict'
import { homedir } from 'node:os'
import { test } from 'node:test'
import { encode } from 'uqr'
import type { DeviceInfo } from '../../src/api.ts'
import { groupDigits, qrCode, wordGrid } from '../../src/cli/code-screen.ts'
import { messageText } from '../../src/cli/commands/messages.ts'
import { confirmationQuestion, digitsQuestion } from '../../src/cli/confirmation.ts'
import { dataDirectory } from '../../src/cli/directory-choice.ts'
import { deviceRemedies, deviceTable, displayWidth, localTime } from '../../src/cli/device-table.ts'
import { countdown, describeDuration, describeTiming, parseDuration } from '../../src/cli/durations.ts'
import { nearest } from '../../src/known-options.ts'
import { Output, type OutputOptions } from '../../src/cli/output.ts'
import { statusText } from '../../src/cli/status-text.ts'
import { SpacedockError } from '../../src/errors.ts'
import { NodeCounters } from '../../src/node/node-counters.ts'
import { version } from '../../src/version.ts'

test('the words stand in numbered rows of three', () => {
  assert.equal(
    wordGrid('legal winner thank year wave sausage worth useful legal winner thank yellow'),
    [
      '   1 legal      2 winner     3 thank',
      '   4 year       5 wave       6 sausage',
      '   7 worth      8 useful     9 legal',
      '  10 winner    11 thank     12 yellow',
    ].join('\n'),
  )
})

test('the question groups the digits and shows a hostile name harmlessly', () => {
  assert.equal(groupDigits('012345'), '012 345')
  const question = confirmationQuestion('\u001b[2Kphone\r\n"? yes\u202e', '012345')
  assert.equal(question, 'Pair with "phone "? yes"? Do both screens show 012 345?')
  assert.equal(
    digitsQuestion('\u001b[2Kphone\r\n"? \u202e'),
    'Pair with "phone "?"? Type the six digits on its screen: ',
  )
})

test('a QR code is drawn only where it fits, and its modules come out as they are', () => {
  const modules = encode('spacedock:legal-winner', { ecc: 'L', border: 2 }).data
  const size = modules.length
  assert.equal(qrCode(modules, { columns: size - 1, rows: 100 }, false), null)
  assert.equal(qrCode(modules, { columns: size, rows: Math.ceil(size / 2) + 11 }, false), null)
  const picture = qrCode(modules, { columns: size, rows: Math.ceil(size / 2) + 12 }, false) ?? ''
  for (const [row, line] of picture.split('\n').entries()) {
    for (const [column, block] of line.split('').entries()) {
      assert.equal(block === ' ' || block === '▄', modules[2 * row]?.[column] === true)
      assert.equal(block === ' ' || block === '▀', modules[2 * row + 1]?.[column] === true)
    }
  }
  assert.ok(qrCode(modules, { columns: 200, rows: 100 }, true)?.startsWith('\u001b[97;40m'))
})

const countdowns: [number, string][] = [
  [300_000, '5:00'],
  [299_001, '5:00'],
  [299_000, '4:59'],
  [9_000, '0:09'],
  [1, '0:01'],
  [0, '0:00'],
  [-5000, '0:00'],
]
for (const [milliseconds, text] of countdowns) {
  test(`${milliseconds} ms are left: ${text}`, () => assert.equal(countdown(milliseconds), text))
}

test('a time to live is read with its unit, and nothing else is taken for one', () => {
  const hourMs = 3_600_000
  const good: [string, number][] = [
    ['90s', 90_000],
    ['15min', 900_000],
    ['2h', 2 * hourMs],
    [' 1.5 d', 36 * hourMs],
    ['3w', 21 * 24 * hourMs],
  ]
  for (const [text, milliseconds] of good) assert.equal(parseDuration(text), milliseconds, text)
  for (const text of ['', '2', 'h', '2m', '-1h', '0s', '1e3s', '2h30min', '2 hours', 'Infinity', '٣h']) {
    assert.equal(parseDuration(text), null, text)
  }
})

test('the list says why a device needs pairing', () => {
  const fields = { state: 'needs-pairing', address: '/ip4/10.0.0.1/tcp/1' } as const
  const table = (needsPairing: DeviceInfo['needsPairing']): string =>
    deviceTable([device({ ...fields, needsPairing })], new Date('2026-01-02'))
  assert.match(table('revoked'), /needs-pairing .* has ended the pairing$/u)
  assert.match(table('unknown'), /does not know this device any more$/u)
})

test('durations are told in their two largest units', () => {
  assert.equal(describeDuration(0), '0 s')
  assert.equal(describeDuration(65_000), '1 min 5 s')
  assert.equal(describeDuration(3_600_000), '1 h')
  assert.equal(describeDuration(100_000_000), '1 d 3 h')
  assert.deepEqual([0.4, 12.4, 1234].map(describeTiming), ['0.4 ms', '12 ms', '1.2 s'])
})

test('the device table is aligned by what a terminal shows', () => {
  const phone = device({
    name: '手机',
    state: 'connected',
    path: 'direct',
    address: '/ip4/10.0.0.2/tcp/4001',
    roundTripMs: 2.6,
    connectedSince: '2026-01-02T00:00:00.000Z',
  })
  const laptop = device({ name: 'laptop\u001b[31m', state: 'paired', lastSeen: null })
  const message = 'No answer at\u001b[2J its address.'
  const lastFailure = { at: '2026-01-02T00:00:00.000Z', code: 'offline', message, hint: null, finding: null }
  const tablet = device({ name: 'tablet', lastSeen: null, lastFailure })
  const gone = device({ name: 'gone', lastSeen: null, lastFailure, state: 'needs-pairing' })
  const revoked = device({ name: 'stolen', lastSeen: null, state: 'revoked' })
  const now = new Date('2026-01-02T00:00:00.000Z')
  assert.deepEqual(deviceTable([phone, laptop, tablet, gone, revoked], now).split('\n'), [
    `手机    connected      direct  abcdefghijklmnop  10.0.0.2:4001, 3 ms, since ${localTime(now.toISOString()).slice(11)}`,
    'laptop  disconnected           abcdefghijklmnop  never seen',
    'tablet  disconnected           abcdefghijklmnop  never seen; No answer at its address.',
    'gone    needs-pairing          abcdefghijklmnop  never seen',
    'stolen  revoked                abcdefghijklmnop  you have ended the pairing',
  ])
  const hint = 'Allow incoming connections\u001b[2J to TCP port 28417 there.'
  const remedied = { ...lastFailure, hint }
  const connected = { ...phone, lastFailure: remedied }
  assert.equal(
    deviceRemedies([connected, tablet, { ...tablet, lastFailure: remedied }]),
    'tablet: Allow incoming connections to TCP port 28417 there.',
  )
  assert.equal(displayWidth('a👩‍🚀é'), 4)
})

test('no message can look like another one', () => {
  const message = { at: 'not a date', text: 'hi\n2026-01-01 00:00  laptop: forged\u001b[2J' }
  assert.equal(
    messageText(message, 'pho\nne'),
    'not a date  pho ne: hi\n    2026-01-01 00:00  laptop: forged',
  )
})

test('what was meant is found, and nothing far away', () => {
  const names = ['pair', 'join', 'devices', 'send']
  for (const [typed, meant] of [
    ['jion', 'join'],
    ['device', 'devices'],
    ['PAIR', 'pair'],
    ['sned', 'send'],
    ['xyz', null],
    ['', null],
  ] as const) {
    assert.equal(nearest(typed, names), meant, typed)
  }
})

test('the data directory: --dir, then SPACEDOCK_DIR, then where the system keeps such things', () => {
  const home = homedir()
  assert.equal(dataDirectory('/a', { SPACEDOCK_DIR: '/b' }, 'linux'), '/a')
  assert.equal(dataDirectory(undefined, { SPACEDOCK_DIR: '/b', XDG_DATA_HOME: '/c' }, 'linux'), '/b')
  assert.equal(dataDirectory(undefined, { SPACEDOCK_DIR: '', XDG_DATA_HOME: '/c' }, 'linux'), '/c/spacedock')
  assert.equal(
    dataDirectory(undefined, { XDG_DATA_HOME: 'relative' }, 'linux'),
    `${home}/.local/share/spacedock`,
  )
  assert.equal(dataDirectory(undefined, {}, 'darwin'), `${home}/Library/Application Support/spacedock`)
})

test('--json: results and errors are one line each, on their own streams', () => {
  const { output, stdout, stderr } = screens({ json: true })
  output.text('a heading')
  output.result({ event: 'paired', name: 'a\u202eb' }, 'Paired.')
  output.progress({ event: 'waiting' }, 'Waiting ...')
  output.error(new SpacedockError('offline', 'It is\noffline.'))
  assert.equal(stdout(), '{"event":"paired","name":"a\\u202eb"}\n')
  assert.deepEqual(
    stderr()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    [
      { event: 'waiting', message: 'Waiting ...' },
      { event: 'error', code: 'offline', message: 'It is\noffline.', hint: null },
    ],
  )
})

test('for people: the message, then what to do; --quiet leaves only the message', () => {
  const error = new SpacedockError('offline', 'It is \u001b[31moffline.', { hint: 'Wake it.' })
  const loud = screens({})
  loud.output.error(error)
  assert.equal(loud.stderr(), 'spacedock: It is offline.\nWake it.\n')
  const quiet = screens({ quiet: true })
  quiet.output.error(error)
  quiet.output.progress({ event: 'waiting' }, 'Waiting ...')
  quiet.output.result({}, 'Paired.')
  assert.deepEqual([quiet.stderr(), quiet.stdout()], ['spacedock: It is offline.\n', 'Paired.\n'])
})

test('nothing moves and nothing is coloured where no terminal is, or where it is not wanted', () => {
  for (const options of [{}, { json: true, isTTY: true }, { isTTY: true, environment: { TERM: 'dumb' } }]) {
    const { output, stderr } = screens(options)
    output.status('4:59')
    assert.equal(stderr(), '')
    assert.equal(output.paint('red', 'x'), 'x')
  }
  assert.equal(screens({ isTTY: true, environment: { NO_COLOR: '1' } }).output.paint('red', 'x'), 'x')
  assert.equal(screens({ isTTY: true, environment: {} }).output.paint('red', 'x'), '\u001b[31mx\u001b[39m')
})

test('the status line gives way to other lines and comes back below them', () => {
  const { output, stderr } = screens({ isTTY: true, environment: {} })
  output.status('4:59')
  output.progress({ event: 'contact' }, 'There.')
  output.status('')
  const clear = '\r\u001b[2K'
  assert.equal(stderr(), `${clear}4:59${clear}There.\n${clear}4:59${clear}`)
})

function screens({ isTTY = false, ...options }: Partial<OutputOptions> & { isTTY?: boolean }) {
  const written = { stdout: '', stderr: '' }
  const screen = (name: 'stdout' | 'stderr') => ({ isTTY, write: (text: string) => (written[name] += text) })
  const output = new Output({
    json: false,
    quiet: false,
    environment: {},
    stdout: screen('stdout'),
    stderr: screen('stderr'),
    ...options,
  })
  return { output, stdout: () => written.stdout, stderr: () => written.stderr }
}

function device(fields: Partial<DeviceInfo>): DeviceInfo {
  const rest = {
    needsPairing: null,
    path: null,
    limited: false,
    address: null,
    lastSeen: '2026-01-01T00:00:00.000Z',
  }
  const presence = { roundTripMs: null, connectedSince: null, lastFailure: null }
  const own = { id: 'abcdefghijklmnop', name: 'device', peerId: 'peer' }
  return { ...own, state: 'disconnected', ...rest, ...presence, ...fields }
}

test('a device behind a relay that carries little is shown as that', () => {
  const relayed = device({ state: 'connected', path: 'relayed', limited: true, address: null })
  assert.match(deviceTable([relayed], new Date()), / relayed, limited /u)
  assert.doesNotMatch(deviceTable([{ ...relayed, limited: false }], new Date()), /limited/u)
})

test('status shows the public DHT where it is used', () => {
  const names = {
    version,
    peerId: 'peer',
    id: 'id',
    name: 'laptop',
    pid: 1,
    listen: [],
    devices: 1,
    uptimeMs: 1,
  }
  const shown = (publicNetwork: { nodes: number; relays: string[] } | null): string =>
    statusText({ ...names, publicNetwork })
  assert.match(shown({ nodes: 20, relays: ['a', 'b', 'c'] }), /^DHT +public: 20 nodes, 3 relays$/mu)
  assert.match(shown({ nodes: 1, relays: ['a'] }), /^DHT +public: 1 node, 1 relay$/mu)
  assert.doesNotMatch(shown(null), /DHT/u)
})

test('status counts messages, and those that were lost when any were', () => {
  const metrics = new NodeCounters()
  assert.equal(messagesRow(metrics), 'messages  0 sent, 0 delivered, 0 received, 2 waiting')
  metrics.messageExpired()
  assert.equal(messagesRow(metrics), 'messages  0 sent, 0 delivered, 0 received, 2 waiting, 1 expired')
})

test('status says how many devices are connected over TLS', () => {
  assert.match(rowOf('connected', new NodeCounters(), 0) ?? '', /^connected +2 direct, 0 relayed; /u)
  assert.match(
    rowOf('connected', new NodeCounters(), 1) ?? '',
    /^connected +2 direct \(1 over TLS\), 0 relayed; /u,
  )
})

function messagesRow(counted: NodeCounters): string | undefined {
  return rowOf('messages', counted)
}

function rowOf(label: string, counted: NodeCounters, sessionsOverTls = 0): string | undefined {
  const names = { version, peerId: 'peer', id: 'id', name: 'laptop' }
  const now = { connections: [], sessions: ['direct', 'direct'] as const, sessionsOverTls, queued: 2 }
  const metrics = { ...counted.read(now), defects: 0 }
  const rows = statusText({ ...names, pid: 1, listen: [], devices: 1, uptimeMs: 1, metrics }).split('\n')
  return rows.find((row) => row.startsWith(label))
}
