export { createNode } from './node.ts'
export { defineProtocol } from './network/application-protocols.ts'
export { SpacedockError, errorCodes, type ErrorCode } from './errors.ts'
export type * from './api.ts'
