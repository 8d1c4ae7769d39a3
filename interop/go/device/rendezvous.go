package device

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs/boxo/ipns"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/multiformats/go-multiaddr"
)

const (
	// dhtPrefix makes `/spacedock/kad/1.0.0` of it.
	dhtPrefix            = protocol.ID("/spacedock")
	firstRetry           = time.Second
	lastRetry            = time.Minute
	reservationMargin    = 5 * time.Minute
	shortestReservation  = 30 * time.Second
	maxRendezvousNodes   = 8
	rendezvousStepTime   = 15 * time.Second
	connectednessLookout = 200 * time.Millisecond
)

// rendezvous is what a device has with its rendezvous nodes: a client of
// their DHT, and a place on each as on a relay.
type rendezvous struct {
	host host.Host
	dht  *dht.IpfsDHT

	mu       sync.Mutex
	circuits map[peer.ID][]multiaddr.Multiaddr
}

func startRendezvous(ctx context.Context, h host.Host, addresses []string) (*rendezvous, error) {
	if len(addresses) > maxRendezvousNodes {
		return nil, fmt.Errorf("more than %d rendezvous nodes", maxRendezvousNodes)
	}
	nodes := map[peer.ID]*peer.AddrInfo{}
	secrets := map[peer.ID][]byte{}
	for _, text := range addresses {
		address, secret, err := splitSecret(text)
		if err != nil {
			return nil, err
		}
		info, err := peer.AddrInfoFromString(address)
		if err != nil {
			return nil, fmt.Errorf("the rendezvous node %q: %w", address, err)
		}
		if secret != nil {
			secrets[info.ID] = secret
		}
		if known, ok := nodes[info.ID]; ok {
			known.Addrs = append(known.Addrs, info.Addrs...)
			continue
		}
		nodes[info.ID] = info
	}
	client, err := newDHT(h, dht.ModeClient)
	if err != nil {
		return nil, err
	}
	r := &rendezvous{host: h, dht: client, circuits: map[peer.ID][]multiaddr.Multiaddr{}}
	for _, info := range nodes {
		go r.keepReservation(ctx, *info, secrets[info.ID])
	}
	return r, nil
}

func newDHT(h host.Host, mode dht.ModeOpt) (*dht.IpfsDHT, error) {
	return dht.New(h, dht.Mode(mode), dht.ProtocolPrefix(dhtPrefix), dht.DisableProviders(),
		dht.NamespacedValidator("ipns", smallRecords{ipns.Validator{}}))
}

func (r *rendezvous) close() error { return r.dht.Close() }

// keepReservation holds a place on one relay, and the connection to it.
func (r *rendezvous) keepReservation(ctx context.Context, relay peer.AddrInfo, secret []byte) {
	retry := firstRetry
	for ctx.Err() == nil {
		wait := retry
		step, done := context.WithTimeout(ctx, rendezvousStepTime)
		err := r.host.Connect(step, relay)
		if err == nil {
			r.host.ConnManager().Protect(relay.ID, "rendezvous")
			if secret != nil {
				err = proveAccess(step, r.host, relay.ID, secret)
			}
			var reservation *client.Reservation
			if err != nil {
				// Asked again after a while: the node's operator may have given it another secret.
			} else if reservation, err = client.Reserve(step, r.host, relay); err == nil {
				r.setCircuits(relay)
				wait = max(time.Until(reservation.Expiration)-reservationMargin, shortestReservation)
				retry = firstRetry
			}
		}
		done()
		if err != nil {
			r.dropCircuits(relay.ID)
			retry = min(2*retry, lastRetry)
		}
		r.awaitLoss(ctx, relay.ID, wait)
	}
}

// awaitLoss returns when the time is over, or the connection is gone.
func (r *rendezvous) awaitLoss(ctx context.Context, relay peer.ID, wait time.Duration) {
	over := time.After(wait)
	ticker := time.NewTicker(firstRetry)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-ticker.C:
			r.mu.Lock()
			_, reserved := r.circuits[relay]
			r.mu.Unlock()
			if reserved && len(r.host.Network().ConnsToPeer(relay)) == 0 {
				r.dropCircuits(relay)
				return
			}
		}
	}
}

// setCircuits takes the relay's address as it was given, whatever the relay
// thinks of its own addresses.
func (r *rendezvous) setCircuits(relay peer.AddrInfo) {
	circuit := multiaddr.StringCast("/p2p/" + relay.ID.String() + "/p2p-circuit")
	var through []multiaddr.Multiaddr
	for _, address := range relay.Addrs {
		through = append(through, address.Encapsulate(circuit))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.circuits[relay.ID] = through
}

func (r *rendezvous) dropCircuits(relay peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.circuits, relay)
}

// addresses are where this device can be reached: directly, then by relays.
func (r *rendezvous) addresses() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	texts := []string{}
	for _, address := range r.host.Addrs() {
		if isPublishable(address) {
			texts = append(texts, address.String())
		}
	}
	for _, through := range r.circuits {
		texts = append(texts, textsOf(through)...)
	}
	return texts
}

// ready waits until a node of the DHT is known.
func (r *rendezvous) ready(ctx context.Context) error {
	ticker := time.NewTicker(connectednessLookout)
	defer ticker.Stop()
	for r.dht.RoutingTable().Size() == 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

func (r *rendezvous) put(ctx context.Context, key string, value []byte) error {
	ctx, done := context.WithTimeout(ctx, rendezvousStepTime)
	defer done()
	if err := r.ready(ctx); err != nil {
		return err
	}
	return r.dht.PutValue(ctx, key, value)
}

// search calls back with every value, better ones later, until it says that
// it has enough.
func (r *rendezvous) search(ctx context.Context, key string, enough func([]byte) bool) error {
	ctx, done := context.WithTimeout(ctx, rendezvousStepTime)
	defer done()
	if err := r.ready(ctx); err != nil {
		return err
	}
	values, err := r.dht.SearchValue(ctx, key)
	if err != nil {
		return err
	}
	for value := range values {
		if enough(value) {
			return nil
		}
	}
	return nil
}
