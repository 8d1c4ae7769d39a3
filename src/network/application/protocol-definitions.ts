import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { ErrorSchemas, EventProtocol, NoErrors, Protocol, StreamProtocol } from '../../api.ts'
import { SpacedockError } from '../../errors.ts'
import { isProtocolVersion, isSystemProtocol, protocolNamePattern } from '../session/request-header.ts'

/**
 * Checks a protocol's definition and returns it. A schema must accept its own output: both sides check, so a value passes
 * it twice. Throws `invalid-argument`.
 */
export function defineProtocol<Request, Response, Errors extends ErrorSchemas = NoErrors>(
  definition: Protocol<Request, Response, Errors>,
): Protocol<Request, Response, Errors> {
  const { request, response } = definition
  check(definition, { request, response })
  return Object.freeze({ ...definition })
}

/** Defines a protocol whose answer is a byte stream. Throws `invalid-argument`. */
export function defineStream<Request, Errors extends ErrorSchemas = NoErrors>(
  definition: Omit<StreamProtocol<Request, Errors>, 'kind'>,
): StreamProtocol<Request, Errors> {
  check(definition, { request: definition.request })
  return Object.freeze({ ...definition, kind: 'stream' })
}

/** Defines an event, which is sent one way and not answered. Throws `invalid-argument`. */
export function defineEvent<Event>(definition: Omit<EventProtocol<Event>, 'kind'>): EventProtocol<Event> {
  check(definition, { event: definition.event })
  return Object.freeze({ ...definition, kind: 'event' })
}

/**
 * Checks a name; throws `invalid-argument` for one that only the system's own protocols may have.
 * @internal
 */
export function requireApplicationName({ name }: { readonly name: string }): void {
  if (typeof name !== 'string' || !isSystemProtocol(name)) return
  throw invalidArgument(
    `The protocol name ${name} is taken.`,
    'Use one that does not begin with "spacedock-".',
  )
}

/**
 * Returns a protocol's name for messages, such as `notes/1`.
 * @internal
 */
export function keyOf({ name, version }: { name: string; version: number }): string {
  return `${name}/${version}`
}

type Checked = 'request' | 'response' | 'event'

/**
 * Error of a value that does not fit its schema. `path` says where, without quoting the value.
 * @internal
 */
export class MisfitError extends SpacedockError {
  readonly what: Checked
  readonly path: string

  constructor(message: string, { what, path, cause }: { what: Checked; path: string; cause?: unknown }) {
    super('invalid-message', message, { cause })
    this.what = what
    this.path = path
  }
}

/**
 * Returns the value as the schema outputs it, at once unless the schema takes its time: a promise for each value of each request
 * costs more than most schemas. Throws `invalid-message`, or rejects with it, also when the schema itself throws.
 * @internal
 */
export function checkValue<Value>(
  schema: StandardSchemaV1<unknown, Value>,
  value: unknown,
  what: Checked,
  protocol: { name: string; version: number },
): Value | Promise<Value> {
  const failed = (cause: unknown): never => {
    const message = `The ${what} could not be checked: the schema of ${keyOf(protocol)} failed.`
    throw new MisfitError(message, { what, path: '', cause })
  }
  const judge = (result: StandardSchemaV1.Result<Value>): Value => judged(result, what, protocol)
  try {
    const result = schema['~standard'].validate(value)
    if ('then' in result) return Promise.resolve(result).catch(failed).then(judge)
    if (result.issues === undefined) return result.value
    return judge(result)
  } catch (error) {
    if (error instanceof MisfitError) throw error
    return failed(error)
  }
}

function judged<Value>(
  result: StandardSchemaV1.Result<Value>,
  what: Checked,
  protocol: { name: string; version: number },
): Value {
  if (result.issues === undefined) return result.value
  const [issue] = result.issues
  const steps = (issue?.path ?? []).map((step) => String(typeof step === 'object' ? step.key : step))
  const path = steps.join('.').slice(0, maxPathLength)
  const where = path === '' ? '' : ` at ${path}`
  const why = (issue?.message ?? 'it is invalid').replace(/\.$/u, '')
  throw new MisfitError(`The ${what} does not fit ${keyOf(protocol)}${where}: ${why}.`, { what, path })
}

interface AnyDefinition {
  readonly name: string
  readonly version: number
  readonly errors?: ErrorSchemas
  readonly handler?: unknown
}

function check(definition: AnyDefinition, schemas: Record<string, unknown>): void {
  const { name, version, errors = {}, handler } = definition
  if (typeof name !== 'string' || !protocolNamePattern.test(name)) {
    throw invalidArgument(
      `"${name}" is not a protocol name.`,
      'Use 1 to 64 lower case letters, digits and dashes, starting with a letter.',
    )
  }
  if (!isProtocolVersion(version)) {
    throw invalidArgument(`The version of protocol ${name} must be a positive whole number.`)
  }
  for (const [what, schema] of Object.entries(schemas)) requireSchema(schema, what, name)
  for (const [code, schema] of Object.entries(errors)) {
    if (!protocolNamePattern.test(code)) {
      throw invalidArgument(
        `"${code}" is not a code for an error of protocol ${name}.`,
        'Use 1 to 64 lower case letters, digits and dashes, starting with a letter.',
      )
    }
    requireSchema(schema, `error "${code}"`, name)
  }
  if (handler !== undefined && typeof handler !== 'function') {
    throw invalidArgument(`The handler of protocol ${name} is not a function.`)
  }
}

function requireSchema(schema: unknown, what: string, name: string): void {
  const { validate } = ((schema ?? {}) as Partial<StandardSchemaV1>)['~standard'] ?? {}
  if (typeof validate === 'function') return
  throw invalidArgument(
    `The ${what} of protocol ${name} is not a schema.`,
    'Use a library that implements Standard Schema, such as valibot, zod or arktype.',
  )
}

/** @internal */
export function invalidArgument(message: string, hint?: string): SpacedockError {
  return new SpacedockError('invalid-argument', message, { hint })
}

const maxPathLength = 200
