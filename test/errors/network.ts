import { createServer } from 'node:net'
import { join } from 'node:path'
import { device } from '../device.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { asAnotherUser, whyNoNamespaces, whyNoOtherUser } from './machine.ts'
import {
  type Form,
  inBothForms,
  makeDirectory,
  newDirectory,
  onLoopback,
  type Outcome,
  type Situations,
  spacedock,
} from './situation.ts'
import { chmod } from 'node:fs/promises'

/** The network is not there, or not usable. Hosts are network namespaces: nothing touches this machine's own network. */
export class Hosts {
  #lab: Promise<Lab> | undefined

  get lab(): Promise<Lab> {
    return (this.#lab ??= createLab())
  }

  async close(): Promise<void> {
    await (await this.#lab)?.close()
  }
}

export function networkSituations(hosts: Hosts): Situations {
  return {
    '`--port` with a port that another program uses': {
      provoke: async (form) => withPortTaken('--port', form),
    },
    '`--metrics-port` with a port that another program uses': {
      provoke: async (form) => withPortTaken('--metrics-port', form),
    },
    '`--interface` with a name that no interface has': {
      forms: inBothForms,
      provoke: async (form) =>
        spacedock(['up', '--interface', 'nosuch0'], { form, dataDir: await newDirectory() }),
    },
    '`--interface` with one that is down': {
      obstacle: whyNoNamespaces,
      provoke: async (form) => {
        const lab = await hosts.lab
        const place = await lab.host('unplugged', [await lab.lan('plugged', { ipv4: '10.1.0.0/24' })])
        await place.run(['ip', 'link', 'set', 'eth0', 'down'])
        return spacedock(['up', '--interface', 'eth0'], { form, place, dataDir: await newDirectory() })
      },
    },
    'no network interface is up': {
      obstacle: whyNoNamespaces,
      provoke: async (form) => {
        const place = await (await hosts.lab).host('nowhere', [])
        await place.run(['ip', 'link', 'set', 'lo', 'down'])
        return spacedock(['pair', '--yes'], { form, place, dataDir: await newDirectory() })
      },
    },
    'firewalls keep the two devices of `pair` and `join` apart': {
      obstacle: whyNoNamespaces,
      provoke: async (form) => joinThroughFirewalls(await hosts.lab, form),
    },
    '`--port` with a port that is only for administrators': {
      obstacle: async () => (await whyNoNamespaces()) || whyNoOtherUser(),
      provoke: async (form) => {
        // Containers often let everybody have every port; a new namespace does not.
        const place = await (await hosts.lab).host('strict', [])
        const parent = await newDirectory()
        await chmod(parent, 0o755)
        const dataDir = await makeDirectory(parent, 'device', 0o700)
        await asAnotherUser.own(dataDir)
        const args = ['up', '--port', '80']
        return spacedock(args, { form, place, dataDir: join(parent, 'device'), by: asAnotherUser.by })
      },
    },
  }
}

/** Host firewalls in their usual state on both sides. */
async function joinThroughFirewalls(lab: Lab, form: Form): Promise<Outcome> {
  const home = await lab.lan(`home-${form}`, { ipv4: '10.1.0.0/24' })
  const places = [await lab.host(`shows-${form}`, [home]), await lab.host(`types-${form}`, [home])] as const
  for (const place of places) await place.firewall({ dropInbound: true, allowUdp: [5353] })
  const [shows, types] = places
  await using initiator = await device(shows, { name: 'initiator' })
  await using joiner = await device(types, { name: 'joiner' })
  await Promise.all([initiator.up(), joiner.up()])
  const { words = '' } = await initiator.spawnCli(['pair', '--yes']).waitForEvent('code')
  const args = ['join', '--no-start', '--yes', '-', '--timeout', '8']
  return await spacedock(args, { form, place: types, dataDir: joiner.dataDir, input: words })
}

async function withPortTaken(option: '--port' | '--metrics-port', form: Form): Promise<Outcome> {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  try {
    const args = ['up', option, String(port), ...onLoopback]
    return await spacedock(args, { form, dataDir: await newDirectory() })
  } finally {
    server.close()
  }
}
