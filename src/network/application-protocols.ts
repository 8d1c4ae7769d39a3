import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Device, HandlerContext, Protocol } from '../api.ts'
import { SpacedockError } from '../errors.ts'
import { isProtocolVersion, protocolNamePattern } from './session/request-header.ts'

/**
 * Checks a protocol's definition and returns it. A schema must accept its own output: both sides check, so a value passes
 * it twice. Throws `invalid-argument`.
 */
export function defineProtocol<Request, Response>(
  definition: Protocol<Request, Response>,
): Protocol<Request, Response> {
  const { name, version, request, response, handler } = definition
  if (typeof name !== 'string' || !protocolNamePattern.test(name)) {
    throw invalidArgument(
      `"${name}" is not a protocol name.`,
      'Use 1 to 64 lower case letters, digits and dashes, starting with a letter.',
    )
  }
  if (!isProtocolVersion(version)) {
    throw invalidArgument(`The version of protocol ${name} must be a positive whole number.`)
  }
  for (const [what, schema] of Object.entries({ request, response })) {
    if (typeof schema?.['~standard']?.validate !== 'function') {
      throw invalidArgument(
        `The ${what} of protocol ${name} is not a schema.`,
        'Use a library that implements Standard Schema, such as valibot, zod or arktype.',
      )
    }
  }
  if (handler !== undefined && typeof handler !== 'function') {
    throw invalidArgument(`The handler of protocol ${name} is not a function.`)
  }
  return Object.freeze({ ...definition })
}

type AnyProtocol = Protocol<unknown, unknown>

export interface DispatchOptions<Peer> {
  peerId: Peer
  signal: AbortSignal
}

/** The application protocols of a node, by name and version. */
export class ApplicationProtocols<Peer> {
  readonly #protocols = new Map<string, AnyProtocol>()
  readonly #deviceOf: (peerId: Peer) => Device | undefined

  /** `deviceOf` knows paired devices only. */
  constructor(deviceOf: (peerId: Peer) => Device | undefined) {
    this.#deviceOf = deviceOf
  }

  /** Throws `invalid-argument` when it has no handler or the name and version are taken; the function returned stops it. */
  register<Request, Response>(definition: Protocol<Request, Response>): () => void {
    // Only dispatch calls the handler, with what the protocol's own schema let through.
    const protocol = defineProtocol(definition) as unknown as AnyProtocol
    const key = keyOf(protocol.name, protocol.version)
    if (protocol.handler === undefined)
      throw invalidArgument(`Protocol ${key} has no handler to serve it with.`)
    if (this.#protocols.has(key)) throw invalidArgument(`Protocol ${key} is already served.`)
    this.#protocols.set(key, protocol)
    return () => {
      if (this.#protocols.get(key) === protocol) this.#protocols.delete(key)
    }
  }

  /** Rejects with `not-paired`, `unknown-protocol`, `invalid-message` or `remote-failure`: what the other side is told. */
  async dispatch(
    name: string,
    version: number,
    value: unknown,
    { peerId, signal }: DispatchOptions<Peer>,
  ): Promise<unknown> {
    const device = this.#deviceOf(peerId)
    if (device === undefined) throw new SpacedockError('not-paired', 'The two devices are not paired.')
    const protocol = this.#protocols.get(keyOf(name, version))
    if (protocol?.handler === undefined) {
      throw new SpacedockError('unknown-protocol', `The other device does not serve ${keyOf(name, version)}.`)
    }
    const request = await checkValue(protocol, 'request', value)
    const response = await runHandler(protocol.handler, request, { device, signal })
    return checkValue(protocol, 'response', response)
  }
}

/** Asks through `send`, with the request checked before it leaves and the answer before it is returned. */
export async function callProtocol<Request, Response>(
  protocol: Protocol<Request, Response>,
  request: Request,
  send: (name: string, version: number, value: unknown) => Promise<unknown>,
): Promise<Response> {
  const checked = await checkValue(protocol, 'request', request)
  const answer = await send(protocol.name, protocol.version, checked)
  return checkValue(protocol, 'response', answer)
}

async function checkValue<Request, Response, Side extends 'request' | 'response'>(
  protocol: Protocol<Request, Response>,
  side: Side,
  value: unknown,
): Promise<Side extends 'request' ? Request : Response> {
  const schema: StandardSchemaV1 = protocol[side]
  const result = await schema['~standard'].validate(value)
  if (result.issues === undefined) return result.value as Side extends 'request' ? Request : Response
  const [issue] = result.issues
  const path = (issue?.path ?? []).map((step) => String(typeof step === 'object' ? step.key : step)).join('.')
  const where = path === '' ? '' : ` at ${path.slice(0, maxPathLength)}`
  throw new SpacedockError(
    'invalid-message',
    `The ${side} does not fit ${keyOf(protocol.name, protocol.version)}${where}: ${(issue?.message ?? 'it is invalid').replace(/\.$/u, '')}.`,
  )
}

async function runHandler(
  handler: NonNullable<AnyProtocol['handler']>,
  request: unknown,
  context: HandlerContext,
): Promise<unknown> {
  try {
    return await handler(request, context)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new SpacedockError('remote-failure', message, { cause })
  }
}

function keyOf(name: string, version: number): string {
  return `${name}/${version}`
}

function invalidArgument(message: string, hint?: string): SpacedockError {
  return new SpacedockError('invalid-argument', message, { hint })
}

const maxPathLength = 200
