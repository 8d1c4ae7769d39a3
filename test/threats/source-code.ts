import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('../../', import.meta.url))

export interface Source {
  /** Relative to the project. */
  path: string
  text: string
}

/** All TypeScript files below these directories. */
export function sourcesOf(directories: readonly string[]): Source[] {
  return directories.flatMap((directory) =>
    readdirSync(join(project, directory), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => ({ path: relative(project, path), text: readFileSync(path, 'utf8') })),
  )
}

/** The lines of a source without what stands in comments, numbered from 1. */
export function commentless(text: string): { number: number; text: string }[] {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, blank)
    .replaceAll(/(?<=^|\s)\/\/.*$/gm, blank)
    .split('\n')
    .map((line, index) => ({ number: index + 1, text: line }))
}

function blank(comment: string): string {
  return comment.replaceAll(/[^\n]/g, ' ')
}
