// Public-node runs unmodified go-libp2p nodes as the public network has them: a server of the public DHT, a circuit relay v2
// with go-libp2p's default limits (2 minutes, 128 KiB each way), AutoNAT, identify and ping.
//
// Each argument is for one node: the multiaddrs that it listens on, with commas between them. The first node is the one by
// which the others enter; -bootstrap names further ones. Prints a line of JSON for each node when it listens, one when all know
// others, and one for each connection that a node has, with the peer that proved to be at its other end. Runs until its standard
// input ends.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

type node struct {
	host host.Host
	dht  *dht.IpfsDHT
}

func main() {
	bootstrap := flag.String("bootstrap", "", "addresses of nodes of other processes, with commas between them")
	own := flag.String("own", "", "prefixes from which these nodes call each other, with commas between them")
	relays := flag.Int("relays", -1, "how many of the nodes are relays; all when negative")
	seconds := flag.Int("relay-seconds", 0, "lifetime of a relayed connection, instead of the default")
	flag.Parse()
	if err := run(flag.Args(), *bootstrap, *own, *relays, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(listen []string, bootstrap string, own string, relays int, seconds int) error {
	ctx := context.Background()
	known, err := parsePeers(bootstrap)
	if err != nil {
		return err
	}
	var nodes []*node
	for index, address := range listen {
		made, err := start(address, own, known, relays < 0 || index < relays, seconds)
		if err != nil {
			return err
		}
		nodes = append(nodes, made)
		addresses := []string{}
		for _, each := range made.host.Addrs() {
			addresses = append(addresses, fmt.Sprintf("%s/p2p/%s", each, made.host.ID()))
		}
		print(map[string]any{"event": "listening", "peer": made.host.ID().String(), "addresses": addresses})
		if index == 0 {
			known = append(known, peer.AddrInfo{ID: made.host.ID(), Addrs: made.host.Addrs()})
		}
	}
	for _, each := range nodes {
		for _, info := range known {
			if info.ID != each.host.ID() {
				if err := each.host.Connect(ctx, info); err != nil {
					return err
				}
			}
		}
	}
	for _, each := range nodes {
		<-each.dht.ForceRefresh()
	}
	smallest := len(nodes)
	for _, each := range nodes {
		smallest = min(smallest, each.dht.RoutingTable().Size())
	}
	print(map[string]any{"event": "ready", "smallestTable": smallest})
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

func start(address string, own string, known []peer.AddrInfo, isRelay bool, seconds int) (*node, error) {
	// The same address has the same identity in every run.
	seed := sha256.Sum256([]byte(address))
	key, _, err := crypto.KeyPairFromStdKey(ptr(ed25519.NewKeyFromSeed(seed[:])))
	if err != nil {
		return nil, err
	}
	resources, err := resourceManager(own)
	if err != nil {
		return nil, err
	}
	options := []libp2p.Option{
		libp2p.ResourceManager(resources),
		libp2p.Identity(key),
		libp2p.ListenAddrStrings(strings.Split(address, ",")...),
		libp2p.EnableNATService(),
		// What AutoNAT finds out after minutes.
		libp2p.ForceReachabilityPublic(),
	}
	if isRelay && seconds == 0 {
		options = append(options, libp2p.EnableRelayService())
	} else if isRelay {
		limit := relay.DefaultLimit()
		limit.Duration = time.Duration(seconds) * time.Second
		options = append(options, libp2p.EnableRelayService(relay.WithLimit(limit)))
	}
	made, err := libp2p.New(options...)
	if err != nil {
		return nil, err
	}
	made.Network().Notify(&network.NotifyBundle{
		ConnectedF: func(_ network.Network, connection network.Conn) {
			print(map[string]any{"event": "peer", "peer": connection.RemotePeer().String()})
		},
	})
	// As Kubo has it on the public network, except that its nodes are in more than one network here.
	table, err := dht.New(made,
		dht.Mode(dht.ModeServer),
		dht.BootstrapPeers(known...),
		dht.QueryFilter(dht.PublicQueryFilter),
		dht.RoutingTableFilter(dht.PublicRoutingTableFilter),
		dht.AddressFilter(func(addresses []ma.Multiaddr) []ma.Multiaddr {
			return ma.FilterAddrs(addresses, manet.IsPublicAddr)
		}),
	)
	if err != nil {
		return nil, err
	}
	return &node{host: made, dht: table}, nil
}

// The default one, except that all of these nodes may call each other: they share one machine's address.
func resourceManager(own string) (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	var v4, v6 []rcmgr.NetworkPrefixLimit
	rates := &rate.Limiter{SubnetRateLimiter: rate.SubnetLimiter{
		IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: rate.Limit{RPS: 0.2, Burst: 16}}},
		IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: rate.Limit{RPS: 0.2, Burst: 16}}},
		GracePeriod:      time.Minute,
	}}
	for _, each := range strings.Split(own, ",") {
		if each == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(each)
		if err != nil {
			return nil, err
		}
		limit := rcmgr.NetworkPrefixLimit{Network: prefix, ConnCount: math.MaxInt}
		if prefix.Addr().Is4() {
			v4 = append(v4, limit)
		} else {
			v6 = append(v6, limit)
		}
		rates.NetworkPrefixLimits = append(rates.NetworkPrefixLimits, rate.PrefixLimit{Prefix: prefix})
	}
	return rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(limits.AutoScale()),
		rcmgr.WithNetworkPrefixLimit(v4, v6),
		rcmgr.WithConnRateLimiters(rates),
	)
}

func parsePeers(text string) ([]peer.AddrInfo, error) {
	var peers []peer.AddrInfo
	for _, each := range strings.Split(text, ",") {
		if each == "" {
			continue
		}
		info, err := peer.AddrInfoFromString(each)
		if err != nil {
			return nil, err
		}
		peers = append(peers, *info)
	}
	return peers, nil
}

func print(value any) {
	line, _ := json.Marshal(value)
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(line))
}

var printing sync.Mutex

func ptr[T any](value T) *T { return &value }
