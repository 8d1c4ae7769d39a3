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

/** The literals that a union in the source gives to a field: what the compiler knows, at run time. */
export function literalsOf(
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
