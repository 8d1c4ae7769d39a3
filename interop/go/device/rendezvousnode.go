package device

import (
	"errors"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	dhtrecord "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/multiformats/go-multiaddr"

	"spacedock/interop/record"
)

// RendezvousNode is a DHT server and a relay.
type RendezvousNode struct {
	host host.Host
	dht  *dht.IpfsDHT
}

// StartRendezvousNode starts one; of the options it takes directory, addresses
// and port.
func StartRendezvousNode(options Options) (*RendezvousNode, error) {
	kept, err := openStore(options.Directory)
	if err != nil {
		return nil, err
	}
	made, err := NewHost(kept, options.Listen, options.Port,
		libp2p.EnableRelayService(relay.WithInfiniteLimits(), relay.WithReservationAddressFilter(everyAddress)),
		libp2p.ForceReachabilityPublic())
	if err != nil {
		return nil, err
	}
	server, err := newDHT(made, dht.ModeServer)
	if err != nil {
		return nil, errors.Join(err, made.Close())
	}
	return &RendezvousNode{host: made, dht: server}, nil
}

// everyAddress lets devices of a private network know how they are reached.
func everyAddress(multiaddr.Multiaddr) bool { return true }

// PeerID is the node's, as text.
func (n *RendezvousNode) PeerID() string { return n.host.ID().String() }

// Addresses are what devices are given.
func (n *RendezvousNode) Addresses() []string { return addressesOf(n.host) }

// Close stops it.
func (n *RendezvousNode) Close() error {
	return errors.Join(n.dht.Close(), n.host.Close())
}

// smallRecords refuses what is larger than a record of ours.
type smallRecords struct{ dhtrecord.Validator }

func (s smallRecords) Validate(key string, value []byte) error {
	if len(value) > record.MaxSize {
		return errors.New("more than a record may have")
	}
	return s.Validator.Validate(key, value)
}
