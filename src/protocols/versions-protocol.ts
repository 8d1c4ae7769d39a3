import * as v from 'valibot'
import type { Protocol } from '../api.ts'

const versionSchema = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0xffff_ffff))
const questionSchema = v.object({ name: v.pipe(v.string(), v.maxLength(64)) })
const answerSchema = v.pipe(v.array(versionSchema), v.maxLength(1_000))

type Question = v.InferOutput<typeof questionSchema>

/** Returns the protocol that asks which versions a device serves under a name. */
export function versionsProtocol(versionsOf: (name: string) => number[]): Protocol<Question, number[]> {
  return {
    name: 'spacedock-versions',
    version: 1,
    request: questionSchema,
    response: answerSchema,
    handler: ({ name }) => versionsOf(name),
  }
}
