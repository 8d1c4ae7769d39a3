import {
  atTerminal,
  inBothForms,
  newDirectory,
  spacedock,
  type Situation,
  type Situations,
} from './situation.ts'

/** Mistakes in the command line: nothing is started for them. */

const rendezvous = '/ip4/20.3.4.5/tcp/4111/p2p/12D3KooWRR24oqVMCR6qrQPpsRy4JqhUBSUTZaQHdFVmk7KXr22t'
const abandon = `${'abandon '.repeat(11)}about`

export const commandLineSituations: Situations = {
  'a command that does not exist': typed(['frobnicate']),
  'a command with a typing mistake': typed(['deivces']),
  'no command at all': typed([]),
  'an option that does not exist': typed(['pair', '--frobnicate']),
  'an option with a typing mistake': typed(['pair', '--quite']),
  'an option of another command': typed(['pair', '--timeout', '5']),
  'an option without its value': typed(['ping', '--dir']),
  'a value for an option that takes none': typed(['pair', '--yes=1']),
  'too little after a command': typed(['send', 'phone']),
  'too much after a command': typed(['devices', 'phone']),
  '`join --timeout` with something else than seconds': typed(['join', '--timeout', '5m', '-']),
  '`--port` with something that is no port': typed(['up', '--port', '99999']),
  '`--metrics-port` with something that is no port': typed(['up', '--metrics-port', 'http']),
  '`service` with something else than `install` and `remove`': typed(['service', 'start']),
  '`service install` with a line break in a path': typed(['service', 'install', '--dir', '/a\nb']),
  '`inbox --after` with something that is no number': typed(['inbox', '--after', 'yesterday']),
  '`join` with a word that is not in the list': typed(
    ['join', '--yes', '-'],
    abandon.replace('about', 'abuot'),
  ),
  '`join` with twelve words of which one is wrong': typed(
    ['join', '--yes', '-'],
    abandon.replace('about', 'zoo'),
  ),
  '`join` with too few words': typed(['join', '--yes', '-'], 'abandon about'),
  '`join` with too many words': typed(['join', '--yes', '-'], `${abandon} zoo`),
  '`join` with no words': typed(['join', '--yes', '-'], '\n'),
  '`join`, and the person types nothing': {
    forms: ['text'],
    provoke: async (form) =>
      spacedock(['join', '--yes'], { form, env: atTerminal, dataDir: await newDirectory('never-made') }),
  },
  '`join` without words, and nobody there to type them': typed(['join', '--yes']),
  '`pair` or `join`, and nobody there to be asked': typed(['pair']),
  '`revoke`, and nobody there to be asked': typed(['revoke', 'phone']),
  '`--confirm-on-stdin` with `--no-input`': typed(['pair', '--confirm-on-stdin', '--no-input']),
  '`--confirm-on-stdin` with `--yes`': typed(['pair', '--confirm-on-stdin', '--yes']),
  '`up --lan-only` with a rendezvous node': typed(['up', '--lan-only', '--rendezvous', rendezvous]),
  '`up --lan-only` with the public DHT': typed(['up', '--lan-only', '--dht', 'public']),
  '`up --lan-only` with port mapping': typed(['up', '--lan-only', '--port-mapping', 'on']),
  '`up` with one port for two things': typed(['up', '--port', '9464', '--metrics-port', '9464']),
  '`up --rendezvous none` with a node': typed(['up', '--rendezvous', 'none', '--rendezvous', rendezvous]),
  '`rename` without a name': typed(['rename', 'phone']),
  '`send --as-json` with a text that is not JSON': typed(['send', 'phone', '{lamp: on}', '--as-json']),
  '`send -` with far more than a message holds': typed(['send', 'phone', '-'], 'x'.repeat(20 * 1024 * 1024)),
  '`send -` with bytes that are no text': {
    forms: inBothForms,
    provoke: async (form) => {
      const by = ['sh', '-c', String.raw`printf "\377" | "$@"`, 'sh']
      return spacedock(['send', 'phone', '-'], { form, by, dataDir: await newDirectory('never-made') })
    },
  },
  '`send --expires` with something that is no time': typed(['send', 'phone', 'hello', '--expires', 'soon']),
  '`inbox` with both --clear and --follow': typed(['inbox', '--clear', '--follow']),
}

function typed(args: readonly string[], input = ''): Situation {
  return {
    forms: inBothForms,
    provoke: async (form) => spacedock(args, { form, input, dataDir: await newDirectory('never-made') }),
  }
}
