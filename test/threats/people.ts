import { Terminal } from '../terminal.ts'
import { RealDaemon } from './real-daemon.ts'
import type { Scene } from './scene.ts'
import { succeeded, unless, type Threat, type Verdict } from './threat.ts'

/** Threat 53: people who are brought, or tempted, to say yes to what they have not compared. */
export const threats: Threat[] = [
  {
    row: 53,
    title: 'a yes from before the question, typed or pasted, is none',
    attack: answerAhead,
    without: [
      {
        what: 'the silence before the question',
        patches: [
          {
            file: 'src/cli/person.ts',
            find: `    await this.discardTypeahead(options)\n    const answer`,
            replace: `    const answer`,
          },
        ],
      },
    ],
  },
  {
    row: 53,
    title: 'who shows the words cannot say yes without having read the other screen',
    attack: waveThrough,
    without: [
      {
        what: 'the comparison',
        patches: [
          {
            file: 'src/cli/confirmation.ts',
            find: `if (verdict === 'same') {`,
            replace: `if (typed !== '') {`,
          },
        ],
      },
      {
        what: 'the screen that does not show its digits',
        patches: [
          {
            file: 'src/cli/pairing-progress.ts',
            find: `if (place === 'pair' && asked === 'person') return`,
            replace: ``,
          },
        ],
      },
    ],
  },
  {
    row: 53,
    title: 'a program cannot send its yes ahead of the question',
    attack: sendAhead,
    without: [
      {
        what: 'the silence before the question',
        patches: [
          {
            file: 'src/cli/confirmation.ts',
            find: `  await person.discardTypeahead({ signal })\n  output.result({ event: 'confirm'`,
            replace: `  output.result({ event: 'confirm'`,
          },
        ],
      },
    ],
  },
]

interface Meeting {
  alice: RealDaemon
  bob: RealDaemon
  /** Alice's `pair`, whose words are `words`. */
  pairing: Terminal
  words: string
}

async function meet(scene: Scene): Promise<Meeting> {
  const [alice, bob] = await Promise.all([RealDaemon.start(scene, 'alice'), RealDaemon.start(scene, 'bob')])
  const pairing = terminal(scene, alice, ['pair'])
  const [grid] = await pairing.shows(/1 [a-z][^]*12 [a-z]+/u)
  return { alice, bob, pairing, words: grid.replaceAll(/[\d\s]+/gu, ' ').trim() }
}

function terminal(scene: Scene, daemon: RealDaemon, args: readonly string[]): Terminal {
  const opened = new Terminal(daemon.commandLine(args))
  scene.after(() => opened.stop())
  return opened
}

/** Bob answers while he still waits for Alice, who then compares; the question to him comes after that. */
async function answerAhead(scene: Scene): Promise<Verdict> {
  const { bob, pairing, words } = await meet(scene)
  const joining = terminal(scene, bob, ['join'])
  await joining.shows(/The twelve words: /u)
  joining.type(`${words}\n`)
  const digits = (await joining.shows(/Type (\d{3} \d{3}) on the other device/u))[1] ?? ''
  joining.type('y\ny\nyes\n')
  await joining.shows(/y\n+y\n+yes/u)
  await pairing.shows(/on its screen: /u)
  pairing.type(`${digits}\n`)
  await joining.shows(/\[y\/N\] /u)
  joining.type('no\n')
  const { code, screen } = await joining.finished()
  return unless({ 'paired by a yes from before the question': code === 0 }, lastLineOf(screen))
}

/** Alice looks at nothing but her own screen: she says yes in every way, and copies what digits she sees there. */
async function waveThrough(scene: Scene): Promise<Verdict> {
  const { bob, pairing, words } = await meet(scene)
  const joining = bob.spawn(['join', '-', '--yes'])
  joining.end(`${words}\n`)
  await pairing.shows(/Pair with "bob"\?[^]*: /u)
  const seen = /\b\d{3} \d{3}\b/u.exec(pairing.screen)?.[0]
  const answers = seen === undefined ? ['y', 'yes', '000000'] : [seen]
  for (const answer of answers) {
    pairing.type(`${answer}\n`)
    await pairing.shows(/on its screen: /u).catch(() => undefined) // it has ended
  }
  const { code, screen } = await pairing.finished()
  return unless({ 'paired without a look at the other screen': code === 0 }, lastLineOf(screen))
}

/** A script that believes it knows what it will be asked. */
async function sendAhead(scene: Scene): Promise<Verdict> {
  const { bob, pairing, words } = await meet(scene)
  const joining = bob.spawn(['join', '-', '--json', '--confirm-on-stdin'])
  joining.write(`${words}\n`)
  const shown = await joining.line((line) => line.includes('"digits"'), { stream: 'stderr' })
  const { digits } = JSON.parse(shown) as { digits: string }
  joining.write('yes\n')
  await pairing.shows(/on its screen: /u)
  pairing.type(`${digits}\n`)
  await joining.line((line) => line.includes('"confirm"'))
  joining.end('no\n')
  const { code, stderr } = await joining.finished(60_000)
  if (code === 0) return succeeded('paired by a yes from before the question')
  return unless({}, lastLineOf(stderr))
}

function lastLineOf(screen: string): string {
  return screen.trim().split('\n').at(-1) ?? ''
}
