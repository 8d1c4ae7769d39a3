import { createLab, type Host, type Lan } from '../../../test/lab/lab.ts'
import { whyNoLab } from '../../../test/lab/requirements.ts'
import { linkRows, links, type Link } from '../links.ts'
import { pairOfEnds } from '../pair-of-ends.ts'
import type { Place } from '../program.ts'
import type { Job } from './job.ts'

/** Streams that are opened one after the other. */
const openings = 5

/** Bulk, round trips and first answers over links of network namespaces, each link a measurement of its own. */
export const linkJobs: readonly Job[] = links.map((link) => ({
  rows: linkRows(link).map(({ id }) => id),
  subjects: ['raw-tcp', 'spacedock-stream'],
  isCostly: true,
  whyNot: () => whyNoLab({ cables: true }),
  run: async (subject, setting) => {
    const { seconds } = setting.sizes
    const [bulk, roundTrip, first] = linkRows(link)
    await using lab = await createLab()
    const lan = await lab.lan('link', { ipv4: '10.1.0.0/24' })
    const server = placeOf(await lab.host('far', [lan], cable(link)), lan)
    const client = placeOf(await lab.host('near', [lan]), lan)
    await using ends = await pairOfEnds(subject, setting, { server, client })
    const { client: near } = ends
    const roundTripUs = await near.order<number>({ do: 'round-trips', bytes: 32, seconds })
    const firstAnswerMs = await near.order<number>({ do: 'first-answers', count: openings })
    // TCP needs tens of round trips to find out how fast it may be.
    const flowSeconds = seconds + (seconds * 10 * link.roundTripMs) / 1_000
    const rate = await near.order<number>({ do: 'flow', seconds: flowSeconds })
    return { [bulk.id]: rate, [roundTrip.id]: roundTripUs / 1_000, [first.id]: firstAnswerMs }
  },
}))

function cable({ roundTripMs, megabits, loss }: Link) {
  return { delayMs: roundTripMs / 2, rateMbit: megabits, loss }
}

function placeOf(host: Host, lan: Lan): Place {
  const env = { BENCH_HOST: host.address(lan), BENCH_INTERFACE: host.interfaceName(lan) }
  return { namespace: host.namespace, env }
}
