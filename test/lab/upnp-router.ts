import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atExit } from './at-exit.ts'
import type { Host, Lab, Lan } from './lab.ts'

/** A home router with a NAT, which opens ports for whoever asks by UPnP: miniupnpd, as on many of them. */
export async function upnpRouter(
  lab: Lab,
  { inside, outside }: { inside: Lan; outside: Lan },
): Promise<UpnpRouter> {
  const router = await lab.router('router-upnp', { inside, outside, nat: 'none' })
  const [lan, wan] = [router.interfaceName(inside), router.interfaceName(outside)]
  const nft = await router.run(['nft', '-f', '-'], { input: rules(wan) })
  assert.equal(nft.code, 0, nft.stderr)
  const directory = await mkdtemp(join(tmpdir(), 'spacedock-upnp-'))
  atExit(() => void rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'miniupnpd.conf')
  await writeFile(file, configuration({ lan, wan, network: inside.ipv4 ?? '' }))
  const daemon = router.spawn(['miniupnpd', '-d', '-f', file, '-P', join(directory, 'pid')])
  await daemon.line((line) => line.includes('HTTP listening on port'), { stream: 'stderr' })
  return {
    router,
    mappings: async () => {
      const { stdout } = await router.run(['nft', 'list', 'chain', 'inet', 'upnp', 'mapped'])
      return stdout.split('\n').filter((line) => line.includes('dnat'))
    },
  }
}

export interface UpnpRouter {
  router: Host
  /** The rules by which it passes on what comes in. */
  mappings: () => Promise<string[]>
}

function rules(wan: string): string {
  return `
table inet upnp {
  chain allowed { }
  chain mapped { }
  chain peers { }
  chain forward {
    type filter hook forward priority 0
    iifname "${wan}" ct state != { established, related } ct status & dnat == 0 drop
  }
  chain input {
    type filter hook input priority 0
    iifname "${wan}" meta l4proto { tcp, udp } ct state != { established, related } drop
  }
  chain prerouting {
    type nat hook prerouting priority dstnat
    jump mapped
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname "${wan}" masquerade
  }
}
`
}

function configuration({ lan, wan, network }: { lan: string; wan: string; network: string }): string {
  return `
ext_ifname=${wan}
listening_ip=${lan}
http_port=0
enable_upnp=yes
enable_natpmp=no
secure_mode=yes
uuid=8a5b5a3e-6a53-4d0c-9c6f-2f0a3c1d7e11
upnp_table_name=upnp
upnp_nat_table_name=upnp
upnp_forward_chain=allowed
upnp_nat_chain=mapped
upnp_nat_postrouting_chain=peers
allow 1024-65535 ${network} 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`
}
