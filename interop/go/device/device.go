// Package device is a Spacedock device on go-libp2p: it pairs, keeps sessions
// with what it is paired with, and is found.
package device

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"

	"spacedock/interop/pairing"
	"spacedock/interop/session"
)

// Options is what a device is started with.
type Options struct {
	Directory string
	Name      string
	Listen    []string // IP addresses
	Port      int
	MDNS      bool
	// Rendezvous are the nodes whose DHT and relay it uses.
	Rendezvous []string
	// Report is told what happens. It must not block.
	Report func(Event)
}

// Event is something that has happened.
type Event struct {
	Event     string   `json:"event"`
	PeerID    string   `json:"peerId,omitempty"`
	Name      string   `json:"name,omitempty"`
	Digits    string   `json:"digits,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	Role      string   `json:"role,omitempty"`
	Path      string   `json:"path,omitempty"`
	Kind      string   `json:"kind,omitempty"`
	Topic     string   `json:"topic,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
	Body      any      `json:"body,omitempty"`
}

// Device is a running device.
type Device struct {
	options    Options
	host       host.Host
	store      *store
	rendezvous *rendezvous
	outreach   *outreach
	codeShown  chan struct{} // there is another code
	context    context.Context
	stop       context.CancelFunc
	closers    []func() error

	mu          sync.Mutex
	invitations []*pairing.Invitation
	join        *pairing.Join
	answers     chan bool           // of the person who is asked
	candidates  map[peer.ID]int     // how often there was news of each
	wanted      chan struct{}       // closed when there is news of a candidate
	sessions    map[peer.ID][]*held // the newest first
	ownTopics   map[string]bool
	theirTopics map[peer.ID]map[string]bool
	// How often new presence keys of a device were taken.
	presenceTakes map[peer.ID]takes
}

// Start starts a device. It dials nobody by itself but its rendezvous nodes
// and, while it shows a code, whoever it sees.
func Start(options Options) (*Device, error) {
	options.Name = pairing.CleanName(options.Name)
	kept, err := openStore(options.Directory)
	if err != nil {
		return nil, err
	}
	made, err := NewHost(kept, options.Listen, options.Port)
	if err != nil {
		return nil, err
	}
	kept.self = made.ID().String()
	ctx, stop := context.WithCancel(context.Background())
	d := &Device{
		options: options, host: made, store: kept, context: ctx, stop: stop, closers: []func() error{made.Close},
		outreach: &outreach{host: made}, codeShown: make(chan struct{}, 1),
		candidates: map[peer.ID]int{}, wanted: make(chan struct{}), sessions: map[peer.ID][]*held{},
		ownTopics: map[string]bool{}, theirTopics: map[peer.ID]map[string]bool{}, presenceTakes: map[peer.ID]takes{},
	}
	made.SetStreamHandler(pairingProtocol, d.handlePairing)
	made.SetStreamHandler(session.Protocol, d.handleSession)
	made.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) { d.addCandidate(c.RemotePeer()) }})
	if options.MDNS {
		service := mdns.NewMdnsService(made, "", d)
		if err := service.Start(); err != nil {
			return nil, fmt.Errorf("multicast DNS: %w", err)
		}
		d.closers = append(d.closers, service.Close)
	}
	if len(options.Rendezvous) > 0 {
		if d.rendezvous, err = startRendezvous(ctx, made, options.Rendezvous); err != nil {
			return nil, err
		}
		d.closers = append(d.closers, d.rendezvous.close)
		go d.publishPresence()
	}
	go d.lookAtInvitations()
	go d.reachOut()
	return d, nil
}

// NewHost is a libp2p host with TCP, Noise and Yamux.
func NewHost(kept *store, listen []string, port int, more ...libp2p.Option) (host.Host, error) {
	addresses := make([]string, len(listen))
	for i, text := range listen {
		ip := net.ParseIP(text)
		switch {
		case ip == nil:
			return nil, fmt.Errorf("%q is no IP address", text)
		case ip.To4() != nil:
			addresses[i] = "/ip4/" + text + "/tcp/" + strconv.Itoa(port)
		default:
			addresses[i] = "/ip6/" + text + "/tcp/" + strconv.Itoa(port)
		}
	}
	options := append([]libp2p.Option{
		libp2p.Identity(kept.identity),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.DisableMetrics(),
		libp2p.UserAgent("spacedock-interop-go/1"),
	}, more...)
	if len(addresses) == 0 {
		options = append(options, libp2p.NoListenAddrs, libp2p.EnableRelay())
	} else {
		options = append(options, libp2p.ListenAddrStrings(addresses...))
	}
	return libp2p.New(options...)
}

// PeerID is this device's, as text.
func (d *Device) PeerID() string { return d.host.ID().String() }

// Addresses are where it listens, each ending in its peer id.
func (d *Device) Addresses() []string { return addressesOf(d.host) }

func addressesOf(h host.Host) []string {
	var texts []string
	self := peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
	addresses, err := peer.AddrInfoToP2pAddrs(&self)
	if err != nil {
		return nil
	}
	for _, each := range addresses {
		texts = append(texts, each.String())
	}
	return texts
}

// Close ends all sessions in order, and the device.
func (d *Device) Close() error {
	d.mu.Lock()
	var open []*session.Session
	for _, with := range d.sessions {
		for _, each := range with {
			open = append(open, each.Session)
		}
	}
	d.mu.Unlock()
	var closing sync.WaitGroup
	for _, each := range open {
		closing.Go(each.Close)
	}
	closing.Wait()
	d.stop()
	var first error
	for i := len(d.closers) - 1; i >= 0; i-- {
		if err := d.closers[i](); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// HandlePeerFound is told by multicast DNS.
func (d *Device) HandlePeerFound(found peer.AddrInfo) {
	if found.ID == d.host.ID() {
		return
	}
	addresses := found.Addrs[:min(len(found.Addrs), maxDialled)]
	d.host.Peerstore().AddAddrs(found.ID, addresses, addressLifetime)
	d.options.Report(Event{Event: "found", PeerID: found.ID.String(), Addresses: textsOf(addresses)})
	d.addCandidate(found.ID)
	d.outreach.see(found.ID)
}

const (
	addressLifetime = 15 * time.Minute
	maxCandidates   = 256
)

// addCandidate has a join ask this peer, at once: there is news of it.
func (d *Device) addCandidate(id peer.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.candidates[id] == 0 && len(d.candidates) == maxCandidates {
		return
	}
	d.candidates[id]++
	close(d.wanted)
	d.wanted = make(chan struct{})
}

func textsOf(addresses []multiaddr.Multiaddr) []string {
	texts := make([]string, len(addresses))
	for i, each := range addresses {
		texts[i] = each.String()
	}
	return texts
}

// addAddresses keeps addresses that each end in a peer id; it returns the
// peers that they name.
func (d *Device) addAddresses(texts []string) ([]peer.ID, error) {
	var peers []peer.ID
	for _, text := range texts {
		info, err := peer.AddrInfoFromString(text)
		if err != nil {
			return nil, fmt.Errorf("the address %q: %w", text, err)
		}
		d.host.Peerstore().AddAddrs(info.ID, info.Addrs, addressLifetime)
		peers = append(peers, info.ID)
	}
	return peers, nil
}
