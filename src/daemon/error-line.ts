import * as v from 'valibot'
import { type ErrorCode, errorCodes, SpacedockError } from '../errors.ts'
import { tooManyFiles } from '../file-errors.ts'

/** An error on its way from one process to another. */
export const errorFields = v.object({
  code: v.string(),
  message: v.string(),
  hint: v.exactOptional(v.string()),
  option: v.exactOptional(v.string()),
  choices: v.exactOptional(v.array(v.string())),
})

export type ErrorFields = v.InferOutput<typeof errorFields>

/**
 * Describes an error for another process. Errors other than ours are defects, whose messages are for the log and not for people, but
 * for a limit of the machine that may show anywhere.
 */
export function describeError(error: unknown): ErrorFields {
  const known = error instanceof SpacedockError ? error : tooManyFiles(error)
  if (known !== null) {
    const { code, message, hint, option, choices } = known
    return {
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(option === undefined ? {} : { option }),
      ...(choices === undefined ? {} : { choices: [...choices] }),
    }
  }
  return {
    code: 'internal',
    message: 'The daemon met a defect of its own.',
    hint: 'Please report it, with the end of daemon.log in the data directory.',
  }
}

/**
 * Restores an error. A code of a later version, which this one does not know, becomes `internal`; its message still says what
 * happened.
 */
export function restoreError({ code, message, ...details }: ErrorFields): SpacedockError {
  const known = errorCodes.find((candidate): candidate is ErrorCode => candidate === code)
  return new SpacedockError(known ?? 'internal', message, details)
}
