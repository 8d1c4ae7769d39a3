import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Setting } from './jobs/job.ts'
import { host } from './subjects/subject.ts'

const run = promisify(execFile)
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` }

/** MB/s of one file over scp, to a server of this user on the loopback interface with keys of its own; from the start of `scp` to its end. */
export async function copyByScp(bytes: number, { signal }: Setting): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'scp-'))
  const [hostKey, userKey, source] = ['host', 'user', 'source'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  for (const key of [hostKey, userKey])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key], { env })
  writeFileSync(source, new Uint8Array(bytes).fill(7))
  const port = await freePort()
  const settings = [
    `HostKey=${hostKey}`,
    `AuthorizedKeysFile=${userKey}.pub`,
    `ListenAddress=${host}:${port}`,
  ]
  const options = [
    ...settings,
    'StrictModes=no',
    'PidFile=none',
    'UsePAM=no',
    'PermitRootLogin=prohibit-password',
    'Subsystem=sftp internal-sftp',
  ]
  const path = execFileSync('sh', ['-c', 'command -v sshd'], { env, encoding: 'utf8' }).trim()
  const server = spawn(path, ['-D', '-f', '/dev/null', ...options.flatMap((option) => ['-o', option])], {
    stdio: 'ignore',
    signal,
  })
  // Told of by its end.
  server.on('error', () => {})
  const gone = once(server, 'exit')
  try {
    await untilOpen(port)
    const startedAt = performance.now()
    const client = [
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'BatchMode=yes',
      'LogLevel=ERROR',
    ]
    const target = `${userInfo().username}@${host}:${join(directory, 'copy')}`
    const args = [
      '-F',
      '/dev/null',
      '-i',
      userKey,
      '-P',
      String(port),
      ...client.flatMap((option) => ['-o', option]),
    ]
    await run('scp', [...args, source, target], { env, signal })
    return bytes / 1_000 / (performance.now() - startedAt)
  } finally {
    server.kill()
    await gone
    rmSync(directory, { recursive: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, host), 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function untilOpen(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect({ host, port })
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    await pause(50)
  }
  throw new Error('the server of SSH does not start')
}
