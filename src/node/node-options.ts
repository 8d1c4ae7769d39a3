import type { NodeOptions } from '../api.ts'
import { findContradiction } from '../contradictions.ts'
import { SpacedockError } from '../errors.ts'
import { checkOptions, suggest } from '../known-options.ts'
import { interfaceNames } from '../network/interfaces.ts'

interface Shape {
  fits: (value: unknown) => boolean
  /** Rest of a sentence that begins with "Give". */
  what: string
}

const text: Shape = { fits: (value) => typeof value === 'string', what: 'a text' }
const flag: Shape = { fits: (value) => typeof value === 'boolean', what: 'true or false' }
const callback: Shape = { fits: (value) => typeof value === 'function', what: 'a function' }
const object: Shape = { fits: (value) => typeof value === 'object' && value !== null, what: 'an object' }
const texts: Shape = {
  fits: (value) => Array.isArray(value) && value.every((each) => text.fits(each)),
  what: 'a list of texts',
}

const shapes: Readonly<Record<keyof NodeOptions, Shape>> = {
  dataDir: { ...text, what: 'the path of a directory of its own' },
  name: text,
  interfaces: texts,
  port: {
    fits: (value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65_535,
    what: 'a whole number from 0 to 65535',
  },
  announce: texts,
  portMapping: flag,
  mdns: flag,
  rendezvous: texts,
  lanOnly: flag,
  dht: { fits: (value) => value === 'private' || value === 'public', what: '"private" or "public"' },
  dhtBootstrap: texts,
  messages: object,
  setUp: callback,
  log: callback,
  clock: object,
}

/** Checks all that can be checked before anything is opened. Throws `invalid-argument`. */
export function checkNodeOptions(options: NodeOptions): void {
  checkOptions(options, shapes, 'createNode')
  for (const name of Object.keys(shapes) as (keyof NodeOptions)[]) {
    const value = options[name]
    if (value === undefined && name !== 'dataDir') continue
    const { fits, what } = shapes[name]
    if (!fits(value)) throw misfit(name, value, what)
  }
  if (options.interfaces !== undefined) checkInterfaces(options.interfaces)
  const found = findContradiction(options)
  // A warning only: an application may keep its nodes while it wants the local network alone.
  if (found !== null) options.log?.('warn', 'node.settings-contradict', { ...found })
}

function misfit(option: keyof NodeOptions, value: unknown, what: string): SpacedockError {
  const shown = typeof value === 'number' || typeof value === 'string' ? JSON.stringify(value) : typeof value
  const message = `The option "${option}" of createNode cannot be ${shown.slice(0, 100)}.`
  return new SpacedockError('invalid-argument', message, { hint: `Give ${what}.`, option })
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
