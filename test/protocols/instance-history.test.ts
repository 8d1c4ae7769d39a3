import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { InstanceHistory, type InstanceProof } from '../../src/protocols/instance-history.ts'

/** A hello: asked, proved by a process that runs at that moment, heard of. */
interface Hello extends InstanceProof {
  runsAtMs: number
}

/** Notes the hellos in the order in which their ends are heard; returns how many it took until two processes were noticed. */
function noticedAfter(hellos: readonly InstanceProof[]): number | undefined {
  const history = new InstanceHistory()
  const inOrder = hellos.toSorted((one, other) => one.provedAtMs - other.provedAtMs)
  const index = inOrder.findIndex((hello) => history.add(hello))
  return index === -1 ? undefined : index + 1
}

const delayMs = fc.nat({ max: 60 })

/** Hellos of one device: the process changes every hundred milliseconds, and what it says is under way for as long as it likes. */
const honestHellos: fc.Arbitrary<Hello[]> = fc.array(
  fc
    .record({ runsAtMs: fc.nat({ max: 1_000 }), before: delayMs, after: fc.nat({ max: 2_000 }) })
    .map(({ runsAtMs, before, after }): Hello => ({
      instance: `${Math.floor(runsAtMs / 100)}`,
      askedAtMs: runsAtMs - before,
      runsAtMs,
      provedAtMs: runsAtMs + after,
    })),
  { maxLength: 60 },
)

test('one device that is started anew is never two, in whatever order its hellos are heard of', () => {
  fc.assert(
    fc.property(honestHellos, (hellos) => assert.equal(noticedAfter(hellos), undefined)),
    { numRuns: 2_000 },
  )
})

test('a hello of the old process that comes late, again and again, is no evidence', () => {
  const late = [5, 7, 9].map((provedAtMs) => ({ instance: 'old', askedAtMs: 1, provedAtMs }))
  const young = [4, 6, 8].map((provedAtMs) => ({ instance: 'new', askedAtMs: 3, provedAtMs }))
  assert.equal(noticedAfter([...late, ...young]), undefined)
})

test('two machines are noticed at the first hello of one after the other had followed it', () => {
  const turns = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(turns, (instances) => {
      const hellos = instances.map((instance, index) => ({
        instance,
        askedAtMs: 2 * index,
        provedAtMs: 2 * index + 1,
      }))
      const back = instances.findIndex((each, index) => {
        const before = instances.indexOf(each)
        return before < index && instances.slice(before, index).some((other) => other !== each)
      })
      assert.equal(noticedAfter(hellos), back === -1 ? undefined : back + 1)
    }),
  )
})

test('two machines are noticed while their hellos overlap, in the time of three of them and three pauses', () => {
  const [longestMs, pauseMs] = [50, 20]
  const hellosOf = (instance: string): fc.Arbitrary<InstanceProof[]> =>
    fc
      .array(fc.tuple(fc.nat({ max: pauseMs }), fc.integer({ min: 1, max: longestMs })), { minLength: 200 })
      .map((steps) => {
        let nowMs = 0
        return steps.map(([pause, takes]) => {
          const askedAtMs = nowMs + pause
          nowMs = askedAtMs + takes
          return { instance, askedAtMs, provedAtMs: nowMs }
        })
      })
  fc.assert(
    fc.property(hellosOf('a'), hellosOf('b'), (ofOne, ofOther) => {
      const hellos = [...ofOne, ...ofOther].filter(
        ({ provedAtMs }) => provedAtMs <= 6 * (longestMs + pauseMs),
      )
      assert.notEqual(noticedAfter(hellos), undefined)
    }),
  )
})

test('three machines, of which one is started anew in between, are noticed', () => {
  const instances = ['a', 'b', 'c', 'a']
  assert.equal(noticedAfter(oneAfterTheOther(instances)), 4)
})

test('what is remembered of a device is bounded: the eight that were seen last', () => {
  const seven = Array.from({ length: 7 }, (_, number) => `${number}`)
  assert.equal(noticedAfter(oneAfterTheOther(['a', ...seven, 'a'])), 9)
  assert.equal(noticedAfter(oneAfterTheOther(['a', ...seven, '7', 'a'])), undefined)
})

function oneAfterTheOther(instances: readonly string[]): InstanceProof[] {
  return instances.map((instance, index) => ({
    instance,
    askedAtMs: 2 * index,
    provedAtMs: 2 * index + 1,
  }))
}
