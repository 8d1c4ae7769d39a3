import { capacities, nodeLoad, nodesNeeded, type Machine } from './load.ts'

type Inputs = Parameters<typeof nodeLoad>[1]

/** The model's answer as the tables of docs/scale.md. */
export function report(inputs: Inputs, machine: Machine): string {
  return [points(inputs), perNode(inputs, machine), nodes(inputs, machine)].join('\n\n')
}

function points({ points }: Inputs): string {
  const { put, get, idleMinute, relayedByte } = points
  return table(
    ['measured', 'processor', 'on the wire', 'memory'],
    [
      ['a record, written', `${round(put.cpuMs)} ms`, bytes(put.wireBytes), bytes(points.recordBytes)],
      ['a record, looked for', `${round(get.cpuMs)} ms`, bytes(get.wireBytes), ''],
      [
        'a device that is connected and has a place, a minute',
        `${round(idleMinute.cpuMs)} ms`,
        bytes(idleMinute.wireBytes),
        bytes(points.reservationBytes),
      ],
      [
        'a MiB over the relay',
        `${round(relayedByte.cpuMs * 2 ** 20)} ms`,
        bytes(relayedByte.wireBytes * 2 ** 20),
        '',
      ],
      ['the node itself', '', '', bytes(points.baseBytes)],
    ],
  )
}

/** What a node does in a day for as many devices as the limits let it have, and for as many as the machine would. */
function perNode(inputs: Inputs, machine: Machine): string {
  const all = capacities(inputs, machine)
  const usual = all[0]?.devices ?? 0
  const most = byMachine(all)
  const loads = [usual, most].map((devices) => nodeLoad(devices, inputs))
  const line = (what: string, show: (load: (typeof loads)[number]) => string): string[] => [
    what,
    ...loads.map(show),
  ]
  return table(
    ['one node, a day', 'as it comes', 'with limits raised'],
    [
      ['devices that name it', count(usual), count(most)],
      line('places at the relay, and connections', ({ reservations }) => count(reservations)),
      line('records that it keeps', ({ records }) => count(records)),
      line('records written', ({ putsPerDay }) => count(putsPerDay)),
      line('lookups', ({ getsPerDay }) => count(getsPerDay)),
      line('carried for devices', ({ relayedBytesPerDay }) => bytes(relayedBytesPerDay)),
      line('on the wire in all', ({ wireBytesPerDay }) => bytes(wireBytesPerDay)),
      line('of one core', ({ cpuSecondsPerDay }) => `${round((cpuSecondsPerDay / 86_400) * 100)} %`),
      line('memory', ({ memoryBytes }) => bytes(memoryBytes)),
    ],
  )
}

function nodes(inputs: Inputs, machine: Machine): string {
  const { population, limits } = inputs
  const rows = capacities(inputs, machine).map(({ by, devices }) => [
    by,
    count(devices),
    count(nodesNeeded(population, devices)),
  ])
  // One is the record of a code.
  const others = limits.recordsPerDevice - 1
  return `${table(['what ends first', 'devices of a node', `nodes for ${count(population.devices)} devices`], rows)}

A device has room for the records that ${others} others look for: what it wrote longest ago goes first.`
}

function byMachine(all: ReturnType<typeof capacities>): number {
  return Math.min(
    ...all.filter(({ by }) => by === 'processor' || by === 'memory').map(({ devices }) => devices),
  )
}

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const all = [head, ...lines]
  const widths = head.map((_, column) => Math.max(3, ...all.map((line) => line[column]?.length ?? 0)))
  const row = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  return [row(head), row(widths.map((width) => '-'.repeat(width))), ...lines.map(row)].join('\n')
}

function count(value: number): string {
  return (value < 1_000 ? Math.round(value) : Number(value.toPrecision(3))).toLocaleString('en')
}

/** Two digits that count. */
function round(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(2)))
}

function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let scaled = value
  let unit = 0
  while (scaled >= 1_000 && unit < units.length - 1) {
    scaled /= 1_000
    unit++
  }
  return `${round(scaled)} ${units[unit]}`
}
