package device

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	libp2pping "github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

// LibP2PPing measures a round trip with libp2p's own protocol.
func (d *Device) LibP2PPing(ctx context.Context, address string) (time.Duration, error) {
	id, err := d.connectTo(ctx, address)
	if err != nil {
		return 0, err
	}
	ctx, done := context.WithTimeout(ctx, dialTime)
	defer done()
	result := <-libp2pping.Ping(ctx, d.host, id)
	return result.RTT, result.Error
}

// Identify tells what a peer says about itself.
func (d *Device) Identify(ctx context.Context, address string) (agent string, protocols []string, err error) {
	id, err := d.connectTo(ctx, address)
	if err != nil {
		return "", nil, err
	}
	known, err := d.host.Peerstore().GetProtocols(id)
	if err != nil {
		return "", nil, err
	}
	value, err := d.host.Peerstore().Get(id, "AgentVersion")
	if err != nil {
		return "", nil, fmt.Errorf("the peer said no agent: %w", err)
	}
	agent, _ = value.(string)
	slices.Sort(known)
	return agent, protocol.ConvertToStrings(known), nil
}

// connectTo waits until the peer is connected and has identified itself.
func (d *Device) connectTo(ctx context.Context, address string) (peer.ID, error) {
	info, err := peer.AddrInfoFromString(address)
	if err != nil {
		return "", fmt.Errorf("the address %q: %w", address, err)
	}
	ctx, done := context.WithTimeout(network.WithAllowLimitedConn(ctx, "look"), dialTime)
	defer done()
	return info.ID, d.host.Connect(ctx, *info)
}
