import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type DaemonConfig, mergeConfig, readConfig, writeConfig } from '../../src/daemon/config.ts'
import { findSocketAddress, prepareSocketAddress } from '../../src/daemon/socket-path.ts'
import { version } from '../../src/version.ts'

const onUnix = { skip: process.platform === 'win32' }

test('the version is that of package.json', () => {
  const { version: expected } = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'),
  ) as { version: string }
  assert.equal(version, expected)
})

test('the configuration comes back as it was written, with mode 0600', async (t) => {
  const directory = temporaryDirectory(t)
  assert.deepEqual(await readConfig(directory), {})
  const messages = { inboxMessages: 1_000, inboxBytes: 2_000_000, inboxDays: 30, outboxDays: 0.5 }
  const config: DaemonConfig = {
    interfaces: ['eth0', 'wlan0'],
    port: 4001,
    logLevel: 'warn',
    metricsPort: 9464,
    messages,
  }
  await writeConfig(directory, config)
  assert.deepEqual(await readConfig(directory), config)
  assert.deepEqual(
    mergeConfig(config, { port: 0 }).messages,
    messages,
    'kept at a start that says something else',
  )
  assert.equal(statSync(join(directory, 'config.json')).mode & 0o777, 0o600)
  assert.equal(existsSync(join(directory, 'config.json.new')), false)
})

for (const text of [
  '',
  '{',
  '[]',
  'null',
  '{"port":"4001"}',
  '{"port":70000}',
  '{"interfaces":"lo"}',
  '{"interfaces":[""]}',
  '{"other":1}',
  '{"messages":{"inboxMessages":0}}',
  '{"messages":{"other":1}}',
  '{"logLevel":"loud"}',
  '{"metricsPort":-1}',
]) {
  test(`a damaged configuration is named and not replaced: ${text === '' ? 'nothing' : text}`, async (t) => {
    const directory = temporaryDirectory(t)
    writeFileSync(join(directory, 'config.json'), text)
    await assert.rejects(readConfig(directory), {
      code: 'directory-unusable',
      message: /config\.json is damaged/u,
      hint: /delete it/u,
    })
    assert.equal(readFileSync(join(directory, 'config.json'), 'utf8'), text)
  })
}

const merges: { kept: DaemonConfig; given: DaemonConfig; expected: DaemonConfig }[] = [
  { kept: {}, given: {}, expected: {} },
  {
    kept: { logLevel: 'debug', metricsPort: 9464 },
    given: {},
    expected: { logLevel: 'debug', metricsPort: 9464 },
  },
  {
    kept: { logLevel: 'debug', metricsPort: 9464 },
    given: { logLevel: 'info', metricsPort: 0 },
    expected: {},
  },
  { kept: { port: 1 }, given: { interfaces: ['lo'] }, expected: { port: 1, interfaces: ['lo'] } },
  { kept: { port: 1, interfaces: ['lo'] }, given: { port: 2 }, expected: { port: 2, interfaces: ['lo'] } },
  { kept: { port: 1, interfaces: ['lo'] }, given: { port: 0, interfaces: ['all'] }, expected: {} },
]
for (const { kept, given, expected } of merges) {
  test(`${JSON.stringify(given)} over ${JSON.stringify(kept)} is ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(mergeConfig(kept, given), expected)
  })
}

test(
  'a long path gets a socket in the runtime directory, which a client finds without that variable',
  onUnix,
  async (t) => {
    const runtime = temporaryDirectory(t)
    const dataDir = longDirectory(t)
    const address = await withRuntimeDirectory(runtime, () => prepareSocketAddress(dataDir))
    assert.ok(address.startsWith(join(runtime, 'spacedock/')), address)
    assert.ok(Buffer.byteLength(address) < 100)
    assert.equal(statSync(join(runtime, 'spacedock')).mode & 0o777, 0o700)
    assert.equal(await findSocketAddress(dataDir), address)
  },
)

test('two long directories have two sockets', onUnix, async (t) => {
  const runtime = temporaryDirectory(t)
  const addresses = await withRuntimeDirectory(runtime, () =>
    Promise.all([longDirectory(t), longDirectory(t)].map((dataDir) => prepareSocketAddress(dataDir))),
  )
  assert.notEqual(addresses[0], addresses[1])
})

test('threat 39: a runtime directory that others can write to, or turn, is not used', onUnix, async (t) => {
  const open = temporaryDirectory(t)
  mkdirSync(join(open, 'spacedock'))
  chmodSync(join(open, 'spacedock'), 0o777)
  const linked = temporaryDirectory(t)
  symlinkSync(temporaryDirectory(t), join(linked, 'spacedock'))
  for (const runtime of [open, linked]) {
    const dataDir = longDirectory(t)
    const temporary = temporaryDirectory(t)
    const address = await withRuntimeDirectory(runtime, () => prepareSocketAddress(dataDir), temporary)
    assert.ok(address.startsWith(temporary), address)
    assert.equal(await findSocketAddress(dataDir), address)
  }
})

test(
  'threat 39: whoever takes the place in the temporary directory first keeps nobody from a daemon',
  onUnix,
  async (t) => {
    const dataDir = longDirectory(t)
    const temporary = temporaryDirectory(t)
    const taken = join(temporary, `spacedock-${process.getuid?.()}`)
    mkdirSync(taken)
    chmodSync(taken, 0o777)
    const prepare = async (): Promise<string> =>
      withRuntimeDirectory('', () => prepareSocketAddress(dataDir), temporary)
    const address = await prepare()
    assert.ok(!address.startsWith(taken), address)
    assert.equal(statSync(dirname(address)).mode & 0o777, 0o700)
    assert.equal(await prepare(), address, 'the next start makes no further directory')
  },
)

test('threat 39: a client does not talk to a socket in a place of somebody else’s', onUnix, async (t) => {
  const dataDir = temporaryDirectory(t)
  chmodSync(dataDir, 0o777)
  assert.equal(await findSocketAddress(dataDir), null, 'an empty one is closed by the first who uses it')
  writeFileSync(join(dataDir, 'daemon.sock'), '')
  await assert.rejects(findSocketAddress(dataDir), { code: 'directory-unusable' })

  const runtime = temporaryDirectory(t)
  const long = longDirectory(t)
  await withRuntimeDirectory(runtime, () => prepareSocketAddress(long))
  chmodSync(join(runtime, 'spacedock'), 0o777)
  assert.equal(await findSocketAddress(long), null, 'it is nobody’s daemon')
})

test('no directory, no daemon', async (t) => {
  assert.equal(await findSocketAddress(join(temporaryDirectory(t), 'none')), null)
})

test('on Windows the pipe has a name that nobody can guess, new for each start', async (t) => {
  const dataDir = temporaryDirectory(t)
  assert.equal(await findSocketAddress(dataDir, 'win32'), null)
  const first = await prepareSocketAddress(dataDir, 'win32')
  const second = await prepareSocketAddress(dataDir, 'win32')
  assert.match(first, /^\\\\\.\\pipe\\spacedock-[0-9a-f]{32}$/u)
  assert.notEqual(first, second)
  assert.equal(await findSocketAddress(dataDir, 'win32'), second)
})

async function withRuntimeDirectory<T>(
  directory: string,
  action: () => Promise<T>,
  temporary: string = tmpdir(),
): Promise<T> {
  const before = { XDG_RUNTIME_DIR: process.env['XDG_RUNTIME_DIR'], TMPDIR: process.env['TMPDIR'] }
  Object.assign(process.env, { XDG_RUNTIME_DIR: directory, TMPDIR: temporary })
  try {
    return await action()
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

function longDirectory(t: TestContext): string {
  const directory = join(temporaryDirectory(t), 'd'.repeat(120))
  mkdirSync(directory, { mode: 0o700 })
  return directory
}

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'spacedock-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
