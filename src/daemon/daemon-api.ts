import * as v from 'valibot'
import { maximumBodyBytes } from '../store/stored-message.ts'
import type { DaemonMetrics } from './prometheus.ts'
import { errorFields } from './error-line.ts'

/**
 * Methods of the daemon for the command, and for any other program of the same user, over its local socket.
 *
 * One connection is one call, in lines of JSON:
 *
 *     client  {"version":"0.1.0","method":"pair","params":{"ask":true}}
 *     daemon  {"event":{...}}                                             any number of them
 *     daemon  {"ask":{"id":1,"kind":"confirm","name","digits","deviceId"}}
 *     client  {"answer":{"id":1,"value":true}}
 *     daemon  {"withdrawn":{"id":1}}                                      the answer is no longer needed
 *     daemon  {"result":{...}}  or  {"error":{"code","message",...}}      then it closes
 *
 * A client that closes the connection calls the whole thing off. Both sides have to be of the same version, except for
 * `status` and `down`: their parameters and results are frozen (fields may only be added), so that a new command can
 * always stop an old daemon.
 */

/** Largest message, in bytes of UTF-8. */
export const messageCapBytes = maximumBodyBytes
/** Longest line that a client may send: a message of the largest size, escaped as JSON. */
export const requestLineCapBytes = 2 * 1024 * 1024
/** Longest line that the daemon may send: a message of the largest size, escaped as JSON. */
export const answerLineCapBytes = 16 * 1024 * 1024

export const versionIndependentMethods: ReadonlySet<string> = new Set(['status', 'down'])

const nothing = v.strictObject({})
const noEvent = v.never()
const nameAndId = v.object({ id: v.string(), name: v.string() })
const path = v.picklist(['direct', 'relayed'])

const finding = v.object({
  cause: v.picklist(['no-answer', 'refused', 'unreachable', 'reset']),
  peer: v.string(),
  name: v.nullable(v.string()),
  known: v.picklist(['seen', 'given', 'published']),
  address: v.string(),
  port: v.number(),
  ownPort: v.nullable(v.number()),
  remedies: v.array(v.picklist(['open-there', 'open-here', 'swap'])),
})

const device = v.object({
  id: v.string(),
  name: v.string(),
  peerId: v.string(),
  state: v.picklist([
    'discovered',
    'pairing',
    'paired',
    'connected',
    'disconnected',
    'needs-pairing',
    'revoked',
  ]),
  needsPairing: v.nullable(v.picklist(['revoked', 'unknown'])),
  path: v.nullable(path),
  limited: v.boolean(),
  address: v.nullable(v.string()),
  lastSeen: v.nullable(v.string()),
  roundTripMs: v.nullable(v.number()),
  connectedSince: v.nullable(v.string()),
  lastFailure: v.nullable(
    v.object({
      at: v.string(),
      code: v.string(),
      message: v.string(),
      hint: v.nullable(v.string()),
      finding: v.nullable(finding),
    }),
  ),
})

const content = { text: v.exactOptional(v.string()), json: v.exactOptional(v.unknown()) }
const message = v.object({
  id: v.string(),
  sequence: v.number(),
  from: nameAndId,
  ...content,
  at: v.string(),
})
const queuedMessage = v.object({
  id: v.string(),
  to: nameAndId,
  ...content,
  at: v.string(),
  state: v.picklist(['queued', 'expired']),
  waitsFor: v.nullable(
    v.picklist(['device', 'better-path', 'update-here', 'update-there', 'inbox-full', 'one-copy']),
  ),
  expiresAt: v.nullable(v.string()),
})

const progress = [
  v.object({
    kind: v.literal('source'),
    source: v.picklist(['local-network', 'internet', 'connected-peers', 'addresses']),
    status: v.picklist(['ready', 'unavailable']),
    detail: v.string(),
  }),
  v.object({ kind: v.literal('obstacle'), finding }),
  v.object({
    kind: v.literal('other-version'),
    part: v.picklist(['pairing', 'records', 'rendezvous']),
    theirs: v.number(),
    ours: v.number(),
  }),
  v.object({ kind: v.literal('contact') }),
  v.object({ kind: v.literal('digits'), digits: v.string() }),
  v.object({ kind: v.literal('waiting') }),
] as const

const code = v.object({
  kind: v.literal('code'),
  words: v.string(),
  uri: v.string(),
  sessionId: v.string(),
  /** End of the code, ISO 8601. */
  expiresAt: v.string(),
})

/** Matters that a person should know of. */
const notices = v.array(v.object({ code: v.string(), message: v.string(), hint: v.string() }))

const seconds = 1000

/** `deadlineMs`: how long a client waits for the result; null where the daemon, or the person, ends the call. */
export const methods = {
  status: {
    params: v.object({}),
    event: noEvent,
    result: v.object({
      pid: v.number(),
      version: v.string(),
      peerId: v.string(),
      id: v.string(),
      name: v.string(),
      listen: v.array(v.string()),
      devices: v.number(),
      uptimeMs: v.number(),
      /** Relays and nodes; null when the public network is not used. */
      publicNetwork: v.exactOptional(
        v.nullable(v.object({ nodes: v.number(), relays: v.array(v.string()) })),
      ),
      notices: v.exactOptional(notices),
      /** Amount in the inbox, and the devices of which no more fits into it. */
      inbox: v.exactOptional(
        v.object({ messages: v.number(), bytes: v.number(), fullFor: v.array(nameAndId) }),
      ),
      /** File of the log; null when the daemon writes it to its standard error. */
      log: v.exactOptional(v.nullable(v.string())),
      /** Address of the counters for a Prometheus on this machine; null when there is none. */
      metricsUrl: v.exactOptional(v.nullable(v.string())),
      /** Counters, of the shape that this version knows only if `version` is this one. */
      metrics: v.exactOptional(
        v.custom<DaemonMetrics>((value) => typeof value === 'object' && value !== null),
      ),
    }),
    deadlineMs: 5 * seconds,
  },
  /** Stops the daemon; the connection closes when its process ends. */
  down: {
    params: v.object({}),
    event: noEvent,
    result: v.object({
      pid: v.number(),
      /** Log file, as in `status`. */
      log: v.exactOptional(v.nullable(v.string())),
    }),
    deadlineMs: 15 * seconds,
  },
  pair: {
    params: v.strictObject({ peers: v.exactOptional(v.array(v.string())), ask: v.boolean() }),
    event: v.variant('kind', [code, ...progress]),
    result: v.object({ device }),
    deadlineMs: null,
  },
  join: {
    params: v.strictObject({
      code: v.string(),
      peers: v.array(v.string()),
      timeoutMs: v.exactOptional(v.pipe(v.number(), v.minValue(1))),
      ask: v.boolean(),
    }),
    event: v.variant('kind', [...progress]),
    result: v.object({ device }),
    deadlineMs: null,
  },
  devices: {
    params: nothing,
    event: noEvent,
    result: v.object({ devices: v.array(device), notices: v.exactOptional(notices) }),
    deadlineMs: 30 * seconds,
  },
  device: {
    params: v.strictObject({ device: v.string() }),
    event: noEvent,
    result: v.object({ device }),
    deadlineMs: 30 * seconds,
  },
  rename: {
    params: v.strictObject({ device: v.string(), name: v.string() }),
    event: noEvent,
    result: v.object({ device }),
    deadlineMs: 30 * seconds,
  },
  renameSelf: {
    params: v.strictObject({ name: v.string() }),
    event: noEvent,
    result: nameAndId,
    deadlineMs: 30 * seconds,
  },
  revoke: {
    params: v.strictObject({ device: v.string() }),
    event: noEvent,
    result: v.object({ device }),
    deadlineMs: 60 * seconds,
  },
  send: {
    params: v.strictObject({
      device: v.string(),
      content: v.union([v.strictObject({ text: v.string() }), v.strictObject({ json: v.unknown() })]),
      /** Lifetime of the message; null: it waits for ever. */
      expiresInMs: v.exactOptional(v.nullable(v.pipe(v.number(), v.minValue(1)))),
    }),
    event: noEvent,
    result: v.object({ id: v.string(), status: v.picklist(['delivered', 'queued']) }),
    deadlineMs: 60 * seconds,
  },
  inbox: {
    params: v.strictObject({ after: v.exactOptional(v.pipe(v.number(), v.integer())), follow: v.boolean() }),
    event: message,
    result: nothing,
    deadlineMs: null,
  },
  clearInbox: {
    params: nothing,
    event: noEvent,
    result: v.object({ removed: v.number() }),
    deadlineMs: 60 * seconds,
  },
  outbox: { params: nothing, event: queuedMessage, result: nothing, deadlineMs: 60 * seconds },
  ping: {
    params: v.strictObject({ device: v.string() }),
    event: noEvent,
    result: v.object({ roundTripMs: v.number(), path, address: v.string() }),
    deadlineMs: 60 * seconds,
  },
} as const

export type MethodName = keyof typeof methods
export type Params<M extends MethodName> = v.InferOutput<(typeof methods)[M]['params']>
export type Event<M extends MethodName> = v.InferOutput<(typeof methods)[M]['event']>
export type Result<M extends MethodName> = v.InferOutput<(typeof methods)[M]['result']>

export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(methods, name)
}

/** A question to the person at this machine. */
export interface Confirmation {
  /** Name of the other device, and the id that it will have here. */
  name: string
  deviceId: string
  /** Six decimal digits that have to be the same on both screens. */
  digits: string
}

/** The first line of a client. Other fields are let through: an old daemon must understand a new `down`. */
export const requestLine = v.object({
  version: v.string(),
  method: v.string(),
  params: v.record(v.string(), v.unknown()),
})

export const answerLine = v.strictObject({ answer: v.strictObject({ id: v.number(), value: v.boolean() }) })

export const daemonLine = v.union([
  v.strictObject({ event: v.unknown() }),
  v.strictObject({
    ask: v.object({
      id: v.number(),
      kind: v.literal('confirm'),
      name: v.string(),
      deviceId: v.string(),
      digits: v.string(),
    }),
  }),
  v.strictObject({ withdrawn: v.object({ id: v.number() }) }),
  v.strictObject({ error: errorFields }),
  v.strictObject({ result: v.unknown() }),
])
