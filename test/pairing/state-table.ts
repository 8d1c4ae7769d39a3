import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { InitiatorEffect } from '../../src/pairing/initiator-state.ts'
import type { JoinerEffect } from '../../src/pairing/joiner-state.ts'
import { tableOf } from './protocol-document.ts'

export interface Row {
  state: string
  event: string
  next: string
  effects: string
}

/** One row for every state that a row of the document's table names. */
export function rowsOf(title: string, everyState: readonly string[]): Row[] {
  return tableOf(title).flatMap(([states = '', event = '', next = '', effects = '']) =>
    (states === 'every' ? everyState : states.split(', ')).map((state) => ({ state, event, next, effects })),
  )
}

/** `phases` and `types` are known complete to the compiler: that the source says the same is what makes the rest a proof. */
export function assertComplete<Phase extends string, Type extends string>(
  role: 'initiator' | 'joiner',
  rows: readonly Row[],
  states: Record<string, { phase: Phase }>,
  { phases, types }: { phases: Record<Phase, true>; types: Record<Type, true> },
): void {
  const name = role === 'initiator' ? 'Initiator' : 'Joiner'
  assert.deepEqual(literalsOf(`${role}-state`, `${name}State`, 'phase'), Object.keys(phases).sort())
  const declared = [
    ...literalsOf(`${role}-state`, `${name}Event`, 'type'),
    ...literalsOf('machine', 'LocalEvent', 'type'),
  ]
  assert.deepEqual(declared.sort(), Object.keys(types).sort())
  for (const state of Object.keys(states)) {
    for (const type of Object.keys(types)) {
      const found = rows.some((row) => row.state === state && row.event.split(':')[0] === type)
      assert.ok(found, `PROTOCOL.md has no row for ${state}, ${type}`)
    }
  }
  const reached = new Set<string>(Object.values(states).map(({ phase }) => phase))
  for (const phase of Object.keys(phases)) assert.ok(reached.has(phase), `no state is in the phase ${phase}`)
}

/** The literals that a union in the source gives to a field: what the compiler knows, at run time. */
function literalsOf(
  file: 'initiator-state' | 'joiner-state' | 'machine',
  typeName: string,
  field: string,
): string[] {
  const source = readFileSync(new URL(`../../src/pairing/${file}.ts`, import.meta.url), 'utf8')
  const start = source.indexOf(`export type ${typeName} =`)
  const declaration = source.slice(start, source.indexOf('\n\n', start))
  const found = [...declaration.matchAll(new RegExp(`\\b${field}: '(?<literal>[a-z-]+)'`, 'gu'))]
  return [...new Set(found.map((match) => match.groups?.['literal'] ?? ''))].sort()
}

/** Effects as the document writes them. */
export function describeEffects(effects: readonly (InitiatorEffect | JoinerEffect)[]): string {
  return effects.length === 0 ? 'none' : effects.map(describeEffect).join(', ')
}

function describeEffect(effect: InitiatorEffect | JoinerEffect): string {
  switch (effect.type) {
    case 'answer':
    case 'send':
    case 'repeat':
    case 'ask-peer': {
      const { message } = effect
      return `${effect.type} ${message.type}${message.type === 'Refused' ? `(${message.reason})` : ''}`
    }
    case 'persist':
      return `persist ${effect.row}`
    case 'finished':
      return `finished ${'reason' in effect ? effect.reason : effect.outcome}`
    case 'silence':
    case 'ask':
    case 'forget':
    case 'show-digits':
    case 'waiting':
      return effect.type
  }
}
