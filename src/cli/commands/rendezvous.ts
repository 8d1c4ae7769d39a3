import { createLog, defaultLogLevel, logLevels } from '../../daemon/log.ts'
import type { Command } from '../command.ts'
import { told } from '../command-hints.ts'
import { exitCodes } from '../exit-codes.ts'

const defaultPort = 4111

export const rendezvous: Command = {
  name: 'rendezvous',
  summary: 'host a meeting point for devices in different networks',
  usage: [
    '[--port N] [--interface NAME]... [--announce MULTIADDR]... [--rendezvous ADDR]...',
    '[--only PEERID]... [--open] [--max-devices N]',
  ],
  options: {
    port: { type: 'string', value: 'N', what: `TCP port to listen on (${defaultPort})` },
    interface: {
      type: 'string',
      value: 'NAME',
      multiple: true,
      what: 'network interface to listen on, may be repeated; every one without it',
    },
    announce: {
      type: 'string',
      value: 'MULTIADDR',
      multiple: true,
      what: 'where others reach it, such as /dns4/meet.example.org/tcp/4111, may be repeated',
    },
    rendezvous: {
      type: 'string',
      value: 'ADDR',
      multiple: true,
      what: 'another rendezvous node, to form one network with, may be repeated; without its # and secret',
    },
    'log-level': {
      type: 'string',
      value: 'LEVEL',
      what: 'least that is logged: "debug", "info", "warn" or "error"; without it, "info"',
    },
    only: {
      type: 'string',
      value: 'PEERID',
      multiple: true,
      what: 'device that may use the relay, without a secret, may be repeated; no other may then',
    },
    open: { type: 'boolean', what: 'let anybody use the relay, and so your line' },
    'max-devices': {
      type: 'string',
      value: 'N',
      what: 'devices that may use the relay at a time (1024; 0: no relay, and no secret)',
    },
  },
  positionals: { least: 0, most: 0 },
  startsDaemon: false,
  notes: [
    'Runs in the foreground until it is stopped, on a machine that others can reach: one with a public address,\nor to whose port a router forwards. It helps devices find each other and passes on what they say, encrypted,\nwhen there is no direct way between them. It can read none of it.',
    'Give the address that it prints to each device: spacedock up --rendezvous ADDR. Behind its # stands the secret\nof the relay: devices that know it are reachable over the relay, and others only call them. Its identity and the\nsecret are kept in the data directory, so that the address stays the same; delete the file rendezvous/relay-secret\nthere for another secret. Logs go to standard error and never hold it.',
    'With --open anybody who finds the relay can be reached over it, and have it carry what he likes, up to its\nlimits: an eighth of the places and 2 MiB/s for one address, 16 MiB/s for all.',
  ],
  examples: [
    { line: 'rendezvous', what: `listen on port ${defaultPort}` },
    {
      line: 'rendezvous --announce /dns4/meet.example.org/tcp/4111',
      what: 'with a name, behind a forwarded port',
    },
    {
      line: 'rendezvous --rendezvous /ip4/20.3.4.5/tcp/4111/p2p/12D3KooW...',
      what: 'together with another one',
    },
  ],
  run: async ({ options, dataDir, output, signal }) => {
    const port = options.wholeNumber('port', 0, 65_535) ?? defaultPort
    const maxReservations = options.wholeNumber('max-devices', 0, 100_000)
    const interfaces = options.list('interface')
    const logLevel = options.choice('log-level', logLevels) ?? defaultLogLevel
    // Loaded only here: it is most of the program's weight.
    const { runRendezvous } = await import('../../daemon/rendezvous-process.ts')
    await told(
      runRendezvous({
        dataDir,
        port,
        interfaces: interfaces.length === 0 || interfaces.includes('all') ? undefined : interfaces,
        announce: options.list('announce'),
        others: options.list('rendezvous'),
        maxReservations,
        only: options.list('only'),
        isOpen: options.flag('open'),
        log: createLog((line) => process.stderr.write(line), { level: () => logLevel }),
        signal,
        onListening: (server, addresses) => {
          const lines = addresses.map((address) => `  --rendezvous ${address}`)
          if (maxReservations === 0)
            lines.push('It is no relay: it helps them find each other, and carries nothing.')
          output.result(
            { event: 'listening', peerId: server.peerId, addresses },
            ['Devices find it with one of:', ...lines].join('\n'),
          )
        },
      }),
    )
    return exitCodes.ok
  },
}
