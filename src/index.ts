export { createNode } from './node.ts'
export { defineEvent, defineProtocol, defineStream } from './network/application/protocol-definitions.ts'
export {
  isProtocolError,
  ProtocolError,
  UnknownProtocolError,
  type ProtocolErrorOf,
} from './protocol-error.ts'
export { SpacedockError, errorCodes, type ErrorCode, type SpacedockErrorOptions } from './errors.ts'
export { describeFinding, type FindingPlace } from './finding-text.ts'
export { compareDigits } from './pairing/typed-digits.ts'
export type * from './api.ts'
export type { ByPath, NodeMetrics, PairingOutcome } from './metrics.ts'
