import { chmod, cp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openStore } from '../../src/store/store.ts'
import { activeRecord, alice, execute } from '../store/fixtures.ts'
import { failExt4, mountExt4, whyNoFailingDisk } from '../store/failing-disk.ts'
import { asAnotherUser, whyNoOtherUser, whyNotRoot } from './machine.ts'
import {
  asCommand,
  entryPoint,
  inBothForms,
  makeDirectory,
  newDirectory,
  onLoopback,
  type Outcome,
  type Situation,
  type Situations,
  spacedock,
} from './situation.ts'
import { runProcess } from '../lab/process.ts'
import { withoutLocks } from '../no-locks.ts'

/** A data directory that is damaged, or cannot be used. */

export const dataSituations: Situations = {
  'the database was cut short': damaged('spacedock.db', async (path) => truncate(path, 30_000)),
  'the database was emptied': damaged('spacedock.db', async (path) => truncate(path, 0)),
  'the database is some other file': damaged('spacedock.db', async (path) =>
    writeFile(path, 'x'.repeat(50_000)),
  ),
  'the database is missing': damaged('spacedock.db', async (path) => rm(path)),
  'the database is an older copy': {
    provoke: async () => {
      const directory = await pairedDirectory()
      const path = join(directory, 'spacedock.db')
      const older = await readFile(path)
      const store = openStore({ dataDir: directory })
      store.trust.revoke(alice)
      store.close()
      await writeFile(path, older)
      return up(directory)
    },
  },
  'the database is of a newer version': damaged('spacedock.db', async (path) =>
    execute(path, 'PRAGMA user_version = 99'),
  ),
  'the identity file was changed': damaged('identity.json', async (path) => {
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace('"registryGeneration":', '"registryGeneration":1'))
  }),
  'the identity file is not one': damaged('identity.json', async (path) => writeFile(path, 'hello')),
  'the identity file is missing beside a database': damaged('identity.json', async (path) => rm(path)),
  'the configuration is damaged': damaged('config.json', async (path) => writeFile(path, '{"port":"4001"}')),
  '`messages` in the configuration leaves too little room': damaged('config.json', async (path) =>
    writeFile(path, '{"messages":{"inboxBytes":1000}}'),
  ),
  'the data directory’s path is too long for a socket': {
    provoke: async (form) => {
      const long = 'x'.repeat(100)
      const env = { XDG_RUNTIME_DIR: '', TMPDIR: await newDirectory(long) }
      return spacedock(['up', ...onLoopback], { form, env, dataDir: await newDirectory(long) })
    },
  },
  'the data directory can be read by others': withMode(0o755),
  'the data directory can be written by others': withMode(0o777),
  'the data directory is a file': {
    forms: inBothForms,
    provoke: async (form) => {
      const dataDir = await newDirectory('file')
      await writeFile(dataDir, '')
      return spacedock(['status'], { form, dataDir })
    },
  },
  'a part of the data directory’s path is a file': {
    provoke: async (form) => {
      const file = await newDirectory('file')
      await writeFile(file, '')
      return spacedock(['devices'], { form, dataDir: join(file, 'device') })
    },
  },
  'something that is no socket is in the socket’s place': {
    provoke: async () => {
      const dataDir = await newDirectory()
      await writeFile(join(dataDir, 'daemon.sock'), '')
      return up(dataDir)
    },
  },
  'this user may not use the data directory': {
    obstacle: whyNoOtherUser,
    provoke: async (form) => {
      const parent = await publicDirectory()
      const dataDir = await makeDirectory(parent, 'device', 0o000)
      await asAnotherUser.own(dataDir)
      return spacedock(['devices'], { form, dataDir, by: asAnotherUser.by })
    },
  },
  'the data directory belongs to another user': {
    obstacle: async () => (await whyNotRoot()) || whyNoOtherUser(),
    provoke: async (form) =>
      spacedock(['devices'], { form, dataDir: await publicDirectory(), by: asAnotherUser.by }),
  },
  'the data directory cannot be made': {
    obstacle: async () => (await whyNotRoot()) || whyNoOtherUser(),
    provoke: async (form) =>
      spacedock(['devices'], { form, dataDir: join(await publicDirectory(), 'new'), by: asAnotherUser.by }),
  },
  'the data directory is at a place where none can be made': {
    obstacle: async () => (process.platform === 'linux' ? false : '/proc is of Linux'),
    forms: inBothForms,
    provoke: async (form) => spacedock(['up', ...onLoopback], { form, dataDir: '/proc/device' }),
  },
  'the user has no home directory': {
    obstacle: async () => (await whyNotRoot()) || whyNoOtherUser(),
    provoke: async () => {
      const by = ['setpriv', '--reuid=45678', '--regid=45678', '--clear-groups']
      const command = [...by, process.execPath, entryPoint, '--json', 'devices']
      const env = { HOME: undefined, XDG_DATA_HOME: undefined, SPACEDOCK_DIR: undefined }
      return asCommand(await runProcess(command, { env, cwd: '/' }))
    },
  },
  'the data directory is on a file system without locks': {
    obstacle: async () => {
      const made = await noLocks()
      return typeof made === 'string' && made
    },
    provoke: async (form) => {
      const made = await noLocks()
      const env = typeof made === 'string' ? {} : made.env
      return spacedock(['up', ...onLoopback], { form, env, dataDir: await newDirectory() })
    },
  },
  'the disk is full': {
    obstacle: whyNotRoot,
    provoke: async () => onSmallDisk('head -c 1M /dev/zero > "$0/filler" 2>/dev/null || true'),
  },
  'the disk is read-only': {
    obstacle: whyNotRoot,
    provoke: async () => onSmallDisk('mount -o remount,ro "$0"'),
  },
  '`revoke` while the disk is read-only': {
    obstacle: async () => whyNoFailingDisk,
    provoke: revokeOnFailedDisk,
  },
}

/** `revoke` by a daemon whose disk has become read-only; the disk exists only for it and the commands. */
async function revokeOnFailedDisk(): Promise<Outcome> {
  const [dataDir, image, original] = [
    await newDirectory(),
    await newDirectory('image'),
    await pairedDirectory(),
  ]
  const run = `"${process.execPath}" "${entryPoint}" --json --dir "$2"`
  const script = `${mountExt4}; cp -a "$3/." "$2"
    ${run} up ${onLoopback.join(' ')} >/dev/null; ${failExt4}
    ${run} revoke alice --yes || code=$?
    ${run} down >/dev/null 2>&1; exit $code`
  return asCommand(
    await runProcess(['unshare', '--mount', 'sh', '-ec', script, 'sh', image, dataDir, original]),
  )
}

function damaged(name: string, damage: (path: string) => Promise<void>): Situation {
  return {
    provoke: async () => {
      const directory = await pairedDirectory()
      await damage(join(directory, name))
      return up(directory)
    },
  }
}

function withMode(mode: number): Situation {
  return {
    provoke: async () => {
      const dataDir = await newDirectory()
      await writeFile(join(dataDir, 'something'), '')
      await chmod(dataDir, mode)
      return up(dataDir)
    },
  }
}

async function up(dataDir: string): Promise<Outcome> {
  return spacedock(['up', ...onLoopback], { form: 'json', dataDir })
}

let lockless: ReturnType<typeof withoutLocks> | undefined

function noLocks(): ReturnType<typeof withoutLocks> {
  return (lockless ??= newDirectory().then(withoutLocks))
}

let original: string | undefined

/** A directory whose device has been paired. */
async function pairedDirectory(): Promise<string> {
  const copy = await newDirectory()
  if (original === undefined) {
    original = await newDirectory()
    const store = openStore({ dataDir: original })
    store.trust.put(activeRecord(alice, 'alice'))
    store.close()
  }
  await cp(original, copy, { recursive: true })
  return copy
}

/** One that every user may enter and list, and only this one may write to. */
async function publicDirectory(): Promise<string> {
  const directory = await newDirectory()
  await chmod(directory, 0o755)
  return directory
}

/** `up` with its data on a disk of 512 KiB, which exists only for this process and its children. */
async function onSmallDisk(prepare: string): Promise<Outcome> {
  const dataDir = await newDirectory()
  const command = [process.execPath, entryPoint, '--json', '--dir', dataDir, 'up', ...onLoopback]
  const script = `mount -t tmpfs -o size=512k,mode=0700 tmpfs "$0"; ${prepare}; exec "$@"`
  return asCommand(await runProcess(['unshare', '--mount', 'sh', '-ec', script, dataDir, ...command]))
}
