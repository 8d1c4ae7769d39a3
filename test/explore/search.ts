import { agree, isQuiet, isUnderWay } from './healing.ts'
import { initiatorName, joinerNames } from './machines.ts'
import type { StepKind } from './emit.ts'
import { initialWorld, makeModel, successors, type Model } from './model.ts'
import { at, rowAt, type Scenario, type Subject, type World } from './world.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

export interface Violation {
  invariant: string
  /** The shortest sequence of steps that leads there. */
  steps: string[]
}

export interface Exploration {
  scenario: Scenario
  states: number
  transitions: number
  /** Steps to the state that is furthest from the start. */
  depth: number
  /** States in which a joiner and the initiator trust each other. */
  paired: number
  /** Whether there was more than `maxStates`. */
  isCut: boolean
  violation: Violation | null
  elapsedMs: number
}

/**
 * Breadth-first over everything that can happen, and then backwards over what was found. Stops at the first violation,
 * which is therefore one that no shorter sequence of steps leads to.
 */
export function explore(subject: Subject, scenario: Scenario, maxStates: number): Exploration {
  const startedAt = performance.now()
  const model = makeModel(subject, scenario)
  const graph = new Graph()
  const found: Exploration = {
    scenario,
    states: 0,
    transitions: 0,
    depth: 0,
    paired: 0,
    isCut: false,
    violation: null,
    elapsedMs: 0,
  }
  graph.add(initialWorld(model), -1, '')
  const depths = [0]
  const joiners = joinerNames.slice(0, scenario.initiator ? scenario.joiners : 0)
  const marks = new Marks(model, joiners)
  for (let id = 0; id < graph.size && found.violation === null; id++) {
    const world = graph.worldOf(id)
    found.depth = depths[id] ?? 0
    marks.mark(world)
    if (graph.size >= maxStates) {
      found.isCut = true
      continue
    }
    successors(model, world, (kind, label, next, invariant) => {
      found.transitions++
      if (invariant !== null) found.violation ??= { invariant, steps: [...graph.pathTo(id), label] }
      if (next === world || found.violation !== null) return
      const known = graph.find(next)
      const to = known ?? graph.add(next, id, label)
      if (known === undefined) depths.push(found.depth + 1)
      if (to !== id) graph.connect(id, to, kind)
    })
  }
  found.states = graph.size
  found.paired = marks.paired.flat().filter(Boolean).length
  // What lies behind a cut is unknown, so nothing is said about ways back.
  if (found.violation === null && !found.isCut) found.violation = judge(graph, marks, joiners)
  found.elapsedMs = performance.now() - startedAt
  return found
}

/** The invariants that are about the whole graph. */
function judge(graph: Graph, marks: Marks, joiners: readonly PeerId[]): Violation | null {
  const settled = graph.reaching(marks.settled, new Set<StepKind>(['progress', 'time', 'heal']))
  const lost = settled.indexOf(0)
  if (lost !== -1) {
    return { invariant: 'agreement can always be reached again', steps: graph.pathTo(lost) }
  }
  for (const index of joiners.keys()) {
    const finishing = graph.reaching(marks.paired[index] ?? [], new Set<StepKind>(['progress']))
    const stuck = marks.underWay[index]?.findIndex((underWay, id) => underWay && finishing[id] === 0) ?? -1
    if (stuck !== -1) {
      return {
        invariant: 'what is under way can be finished by the two machines alone',
        steps: graph.pathTo(stuck),
      }
    }
  }
  return null
}

/** What each state is worth, noted when it is visited. */
class Marks {
  /** Nothing runs any more, no row is provisional, and nobody trusts alone. */
  readonly settled: boolean[] = []
  /** By joiner. */
  readonly paired: boolean[][]
  readonly underWay: boolean[][]
  readonly #model: Model
  readonly #joiners: readonly PeerId[]

  constructor(model: Model, joiners: readonly PeerId[]) {
    this.#model = model
    this.#joiners = joiners
    this.paired = joiners.map(() => [])
    this.underWay = joiners.map(() => [])
  }

  mark(world: World): void {
    const model = this.#model
    this.settled.push(isQuiet(model, world, model.devices) && agree(model, world, this.#joiners))
    for (const [index, joiner] of this.#joiners.entries()) {
      const active = model.tables.rows.valueOf(at(world, rowAt(joiner, initiatorName)))?.state === 'active'
      this.paired[index]?.push(active && agree(model, world, [joiner]))
      this.underWay[index]?.push(isUnderWay(model, world, joiner))
    }
  }
}

const kinds: readonly StepKind[] = ['progress', 'time', 'heal', 'fault']

/** The states by number, how each was first reached, and every step between two of them. */
class Graph {
  readonly #ids = new Map<string, number>()
  readonly #texts: string[] = []
  readonly #parents: number[] = []
  readonly #labels: string[] = []
  #edges = new Uint32Array(1 << 16)
  #edgeCount = 0

  get size(): number {
    return this.#texts.length
  }

  find(world: World): number | undefined {
    return this.#ids.get(String.fromCharCode(...world))
  }

  add(world: World, parent: number, label: string): number {
    const id = this.#texts.length
    const text = String.fromCharCode(...world)
    this.#ids.set(text, id)
    this.#texts.push(text)
    this.#parents.push(parent)
    this.#labels.push(label)
    return id
  }

  worldOf(id: number): number[] {
    const text = this.#texts[id] ?? ''
    return Array.from({ length: text.length }, (_, index) => text.charCodeAt(index))
  }

  /** Kept backwards: where it leads to comes first. */
  connect(from: number, to: number, kind: StepKind): void {
    if (this.#edgeCount * 2 === this.#edges.length) {
      const wider = new Uint32Array(this.#edges.length * 2)
      wider.set(this.#edges)
      this.#edges = wider
    }
    this.#edges[this.#edgeCount * 2] = to
    this.#edges[this.#edgeCount * 2 + 1] = from * kinds.length + kinds.indexOf(kind)
    this.#edgeCount++
  }

  pathTo(id: number): string[] {
    const steps: string[] = []
    for (let at = id; at > 0; at = this.#parents[at] ?? 0) steps.push(this.#labels[at] ?? '')
    return steps.toReversed()
  }

  /** One for each state from which a goal can be reached by steps of these kinds. */
  reaching(goals: readonly boolean[], allowed: ReadonlySet<StepKind>): Uint8Array {
    const { starts, sources } = this.#incoming()
    const reached = new Uint8Array(this.size)
    const pending = new Uint32Array(this.size)
    let length = 0
    for (const [id, isGoal] of goals.entries()) {
      if (!isGoal) continue
      reached[id] = 1
      pending[length++] = id
    }
    const usable = kinds.map((kind) => allowed.has(kind))
    while (length > 0) {
      const to = pending[--length] ?? 0
      for (let index = starts[to] ?? 0; index < (starts[to + 1] ?? 0); index++) {
        const source = sources[index] ?? 0
        const from = Math.floor(source / kinds.length)
        if (reached[from] === 1 || usable[source % kinds.length] !== true) continue
        reached[from] = 1
        pending[length++] = from
      }
    }
    return reached
  }

  /** The edges sorted by where they lead to. */
  #incoming(): { starts: Uint32Array; sources: Uint32Array } {
    const starts = new Uint32Array(this.size + 2)
    for (let edge = 0; edge < this.#edgeCount; edge++) {
      const to = this.#edges[edge * 2] ?? 0
      starts[to + 2] = (starts[to + 2] ?? 0) + 1
    }
    for (let id = 2; id < starts.length; id++) starts[id] = (starts[id] ?? 0) + (starts[id - 1] ?? 0)
    const sources = new Uint32Array(this.#edgeCount)
    for (let edge = 0; edge < this.#edgeCount; edge++) {
      const slot = (this.#edges[edge * 2] ?? 0) + 1
      const position = starts[slot] ?? 0
      sources[position] = this.#edges[edge * 2 + 1] ?? 0
      starts[slot] = position + 1
    }
    return { starts, sources }
  }
}
