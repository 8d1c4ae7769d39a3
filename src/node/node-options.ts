import type { NodeOptions } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { checkOptions, suggest, type OptionNames } from '../known-options.ts'
import { interfaceNames } from '../network/interfaces.ts'

const names: OptionNames<NodeOptions> = {
  dataDir: true,
  name: true,
  interfaces: true,
  port: true,
  announce: true,
  portMapping: true,
  mdns: true,
  rendezvous: true,
  lanOnly: true,
  dht: true,
  dhtBootstrap: true,
  messages: true,
  setUp: true,
  log: true,
  clock: true,
}

/** What can be said before anything is opened. Throws `invalid-argument`. */
export function checkNodeOptions(options: NodeOptions): void {
  checkOptions(options, names, 'createNode')
  if (typeof options.dataDir !== 'string') {
    throw new SpacedockError('invalid-argument', 'A node needs a data directory.', {
      hint: 'Give the path of a directory of its own.',
      option: 'dataDir',
    })
  }
  if (options.interfaces !== undefined) checkInterfaces(options.interfaces)
}

function checkInterfaces(given: readonly string[]): void {
  const choices = interfaceNames()
  if (given.length === 0) {
    throw new SpacedockError('invalid-argument', 'No network interface is named.', {
      hint: `Name one of ${choices.join(', ')}, or leave the option out to use all.`,
      option: 'interfaces',
      choices,
    })
  }
  const unknown = given.find((name) => !choices.includes(name))
  if (unknown === undefined) return
  throw new SpacedockError('invalid-argument', `No network interface is called ${unknown}.`, {
    hint: suggest(unknown, choices),
    option: 'interfaces',
    choices,
  })
}
