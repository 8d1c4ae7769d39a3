import { spawn } from 'node:child_process'
import { chmodSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { version } from '../../src/version.ts'
import { RealDaemon } from './real-daemon.ts'
import { type Scene } from './scene.ts'
import { succeeded, withstood, type Threat, type Verdict } from './threat.ts'

/** Threat 39: other users and other programs of the same machine. */
export const threats: Threat[] = [
  {
    row: 39,
    title: "another user's process cannot connect to the daemon's socket, or read what it keeps",
    attack: connectAsNobody,
    without: [
      {
        what: 'the mode of the socket',
        patches: [
          { file: 'src/daemon/server.ts', find: `process.umask(0o177)`, replace: `process.umask(0)` },
        ],
      },
    ],
  },
  {
    row: 39,
    title: 'HTTP, as a web page would send it, gets no answer from the socket',
    attack: speakHttp,
    without: [
      {
        what: 'the look at the first character',
        patches: [
          {
            file: 'src/daemon/server-connection.ts',
            find: `if (first.done === true || !first.value.startsWith('{')) return`,
            replace: `if (first.done === true) return`,
          },
        ],
      },
    ],
  },
]

const nobody = 65_534
const call = JSON.stringify({ version, method: 'status', params: {} })

async function connectAsNobody(scene: Scene): Promise<Verdict> {
  const daemon = await RealDaemon.start(scene, 'alice')
  const socket = join(daemon.dataDir, 'daemon.sock')
  const files = ['identity.json', 'spacedock.db', 'spacedock.db-wal', 'lock.db', 'config.json']
  if (process.getuid?.() !== 0) {
    // Nobody else can be played: then the modes have to say it.
    const open = ['.', 'daemon.sock', ...files].filter(
      (name) => (statSync(join(daemon.dataDir, name)).mode & 0o077) !== 0,
    )
    return open.length > 0
      ? succeeded(`${open.join()} is open to others`)
      : withstood('modes only: this is not root')
  }
  const seen = [
    await asNobody(
      socket,
      files.map((name) => join(daemon.dataDir, name)),
    ),
  ]
  // Somebody opens the directory later; the socket and the files have modes of their own.
  chmodSync(daemon.dataDir, 0o711)
  seen.push(
    await asNobody(
      socket,
      files.map((name) => join(daemon.dataDir, name)),
    ),
  )
  const got = seen.find((outcome) => !/^(?:EACCES ?)+$/.test(outcome))
  return got === undefined
    ? withstood(`EACCES for the socket and ${files.length} files, also in an opened directory`)
    : succeeded(got)
}

/** What the socket and the files say to a process of another user. */
async function asNobody(socket: string, files: string[]): Promise<string> {
  const script = `
    const { connect } = require('node:net'), { readFileSync } = require('node:fs')
    const socket = connect(${JSON.stringify(socket)})
    socket.on('connect', () => socket.write(${JSON.stringify(`${call}\n`)}))
    socket.on('data', (bytes) => console.log('answered: ' + bytes))
    socket.on('error', ({ code }) => console.log(code))
    for (const file of ${JSON.stringify(files)}) {
      try { readFileSync(file); console.log('read ' + file) } catch ({ code }) { if (code !== 'ENOENT') console.log(code) }
    }`
  const child = spawn(process.execPath, ['-e', script], { uid: nobody, gid: nobody, cwd: '/', env: {} })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return output.trim().replaceAll('\n', ' ')
}

async function speakHttp(scene: Scene): Promise<Verdict> {
  const daemon = await RealDaemon.start(scene, 'alice')
  const path = join(daemon.dataDir, 'daemon.sock')
  const requests: Record<string, string> = {
    'a POST with a call in its body': `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: ${call.length + 1}\r\n\r\n${call}\n`,
    'a POST without headers': `POST /\n${call}\n`,
    'a GET': 'GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'an upgrade to WebSocket':
      'GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    'a TLS hello': '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\n',
    'an empty line first': `\n${call}\n`,
  }
  for (const [what, request] of Object.entries(requests)) {
    const answer = await exchange(path, request)
    if (answer !== '') return succeeded(`${what} is answered: ${answer.slice(0, 80).trim()}`)
  }
  const honest = await exchange(path, `${call}\n`)
  return honest.includes('"result"')
    ? withstood(`${Object.keys(requests).length} requests, closed without a word`)
    : succeeded('a right call fails')
}

function exchange(path: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(path)
    socket.setTimeout(8_000, () => socket.destroy())
    socket.on('data', (bytes: Buffer) => (answer += bytes.toString()))
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
    socket.write(text)
  })
}
