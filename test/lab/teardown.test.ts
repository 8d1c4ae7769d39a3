import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { cleanStale, createLab } from './lab.ts'
import { namespacesOf, processesIn } from './namespace.ts'
import { RunningProcess } from './process.ts'
import { whyNoLab } from './requirements.ts'

/** Two processes, one of which leaves its process group and its parent behind, as a daemon does. */
const startDaemon = `
  const { spawn } = require('node:child_process')
  spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }).unref()
  console.log('ready')
  setInterval(() => {}, 1000)`

/** A process of its own that owns a lab: prints the lab's id and the processes in it, then does `ending`. */
function labOwner(ending: string): RunningProcess {
  const program = `
    import { createLab } from '${new URL('lab.ts', import.meta.url).href}'
    import { namespacesOf, processesIn } from '${new URL('namespace.ts', import.meta.url).href}'
    const lab = await createLab()
    const lan = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const host = await lab.host('alice', [lan])
    await host.spawn(['node', '--eval', ${JSON.stringify(startDaemon)}]).line((line) => line === 'ready')
    console.log(JSON.stringify({ id: lab.id, pids: processesIn(namespacesOf(lab.id)) }))
    ${ending}`
  return new RunningProcess([process.execPath, '--input-type=module', '--eval', program])
}

async function describeLab(owner: RunningProcess): Promise<{ id: string; pids: number[] }> {
  const described = JSON.parse(await owner.line((line) => line.startsWith('{'))) as {
    id: string
    pids: number[]
  }
  assert.equal(described.pids.length, 2)
  return described
}

/** An orphan stays in the table, dead, until init collects it. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function assertDead(pids: number[]): Promise<void> {
  const deadline = performance.now() + 10_000
  while (pids.some(isAlive)) {
    assert.ok(performance.now() < deadline, `still alive: ${pids.filter(isAlive).join(', ')}`)
    await wait(10)
  }
}

describe('the end of a lab', { skip: await whyNoLab() }, () => {
  test('leaves no namespace and no process behind, not even a daemon', async () => {
    const lab = await createLab()
    const lan = await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const host = await lab.host('alice', [lan])
    await host.deadVpn('tun0')
    const running = host.spawn(['node', '--eval', startDaemon])
    await running.line((line) => line === 'ready')
    const stop = await lab.capture(lan)
    const pids = processesIn(namespacesOf(lab.id))
    assert.equal(pids.length, 3, 'the program, its daemon, tcpdump')
    assert.equal(namespacesOf(lab.id).length, 3)
    await lab.close()
    assert.deepEqual(namespacesOf(lab.id), [])
    assert.equal(running.running, false)
    await assertDead(pids)
    await assert.rejects(stop())
    await lab.close()
  })

  for (const [how, ending] of [
    ['a SIGINT', `process.kill(process.pid, 'SIGINT'); setInterval(() => {}, 1000)`],
    ['a SIGTERM', `process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)`],
    ['process.exit', `process.exit(7)`],
    ['an uncaught error', `setImmediate(() => { throw new Error('on purpose') })`],
  ] as const) {
    test(`comes with the end of its process by ${how}`, async () => {
      const owner = labOwner(ending)
      const { id, pids } = await describeLab(owner)
      const { code, signal } = await owner.finished()
      assert.equal(
        signal ?? code,
        { 'a SIGINT': 'SIGINT', 'a SIGTERM': 'SIGTERM', 'process.exit': 7 }[how as string] ?? 1,
      )
      assert.deepEqual(namespacesOf(id), [])
      await assertDead(pids)
    })
  }

  test('comes late when its process was killed, and spares labs that are in use', async () => {
    await using lab = await createLab()
    await lab.lan('home', { ipv4: '10.1.0.0/24' })
    const owner = labOwner('setInterval(() => {}, 1000)')
    const { id, pids } = await describeLab(owner)
    cleanStale()
    assert.equal(namespacesOf(id).length, 2)
    owner.kill('SIGKILL')
    await owner.exited
    cleanStale()
    assert.deepEqual(namespacesOf(id), [])
    await assertDead(pids)
    assert.equal(namespacesOf(lab.id).length, 1)
  })
})

describe('a command on a host', { skip: await whyNoLab() }, () => {
  test('gets its input and environment, and gives its output and exit code', async () => {
    await using lab = await createLab()
    const host = await lab.host('alice', [])
    const command = ['sh', '-c', 'cat; echo $COLOUR >&2; exit 3']
    const finished = await host.run(command, { input: 'text', env: { COLOUR: 'blue' } })
    assert.deepEqual(finished, { code: 3, signal: null, stdout: 'text', stderr: 'blue\n' })
  })

  test('is killed at its deadline with all it started, and the error shows what it had said', async () => {
    await using lab = await createLab()
    const host = await lab.host('alice', [])
    const hanging = host.run(['sh', '-c', 'echo so far; sleep 1000 & wait'], { deadlineMs: 300 })
    await assert.rejects(hanging, /had not ended after 300 ms(.|\n)*so far/)
    await assertDead(processesIn(namespacesOf(lab.id)))
  })

  test('can be waited for line by line, also for a line that came before, and never beyond its end', async () => {
    await using lab = await createLab()
    const host = await lab.host('alice', [])
    const running = host.spawn(['sh', '-c', 'echo one; read answer; echo two $answer; exit 0'])
    assert.equal(await running.line((line) => line === 'one'), 'one')
    await assert.rejects(
      running.line((line) => line === 'two', { deadlineMs: 50 }),
      /in vain for 50 ms/,
    )
    running.write('yes\n')
    assert.equal(await running.line((line) => line.startsWith('two')), 'two yes')
    await running.finished()
    assert.equal(await running.line((line) => line === 'one'), 'one')
    await assert.rejects(
      running.line((line) => line === 'three'),
      /ended without/,
    )
  })
})
