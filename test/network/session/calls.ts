import type { Call } from '../../../src/network/session/call.ts'

export function call(name: string, version: number, value: unknown): Call {
  return { name, version, value }
}
