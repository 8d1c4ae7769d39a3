package device

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"spacedock/interop/record"
)

const (
	lookAtAddresses = 500 * time.Millisecond
	publishAgain    = 3 * time.Minute
	searchAgain     = 2 * time.Second
	firstLookAgain  = 500 * time.Millisecond
)

// How far apart two looks for a record may be. The initiator's is there before
// a person can type the words.
const (
	lastLookForInitiator = 4 * time.Second
	lastLookForJoiner    = 15 * time.Second
	lastLookOnceFound    = 10 * time.Second
)

// keepRecord keeps a record under the keys of a code as long as it is wanted,
// each with a higher sequence than the one before.
func (d *Device) keepRecord(keys record.Keys, sequence uint64, isWanted func() bool) {
	var published []string
	var at time.Time
	for isWanted() && d.context.Err() == nil {
		addresses := d.rendezvous.addresses()
		if len(addresses) > 0 && (!slices.Equal(addresses, published) || time.Since(at) > publishAgain) {
			sequence++
			if d.publish(keys, sequence) == nil {
				published, at = addresses, time.Now()
			}
		}
		d.pause(lookAtAddresses)
	}
}

// leaveRecord leaves the joiner's record. One of an earlier join by the same
// words, of whatever device, must not make it look older.
func (d *Device) leaveRecord(keys record.Keys, isWanted func() bool) {
	var highest uint64
	for isWanted() && d.context.Err() == nil {
		err := d.read(d.context, keys, func(_ record.Content, sequence uint64) bool {
			highest = max(highest, sequence)
			return false
		})
		if err == nil {
			d.keepRecord(keys, highest, isWanted)
			return
		}
		d.pause(firstLookAgain)
	}
}

// lookFor calls back with every newer record under the keys of a code, as long
// as that is wanted.
func (d *Device) lookFor(keys record.Keys, longest time.Duration, isWanted func() bool, found func(record.Content)) {
	var newest uint64
	wait := firstLookAgain
	for isWanted() && d.context.Err() == nil {
		_ = d.read(d.context, keys, func(content record.Content, sequence uint64) bool {
			if sequence > newest {
				if newest == 0 {
					wait, longest = firstLookAgain, lastLookOnceFound
				}
				newest = sequence
				found(content)
			}
			return !isWanted()
		})
		d.pause(time.Duration((0.5 + rand.Float64()) * float64(wait)))
		wait = min(2*wait, longest)
	}
}

// findJoiners has this device connect to those who say by a record that they
// type the words.
func (d *Device) findJoiners(keys record.Keys, isWanted func() bool) {
	joiners := map[string]bool{}
	d.lookFor(keys, lastLookForJoiner, isWanted, func(content record.Content) {
		if len(joiners) == maxJoiners && !joiners[content.Peer] {
			return
		}
		id, err := d.keepAddresses(content, maxDialled)
		if err != nil || id == d.host.ID() {
			return
		}
		joiners[content.Peer] = true
		d.outreach.see(id)
	})
}

// written is what a presence record said last.
type written struct {
	epoch     int64
	sequence  uint64
	addresses []string
	at        time.Time
}

// publishPresence keeps a record for every device that this one is paired with.
func (d *Device) publishPresence() {
	last := map[string]written{}
	oldest := int64(0)
	for d.context.Err() == nil {
		now := time.Now()
		if record.Oldest(now) != oldest && d.store.forgetPresence() == nil {
			oldest = record.Oldest(now)
		}
		epoch, sequence, addresses := record.Epoch(now), record.Sequence(now), d.rendezvous.addresses()
		for peerID, kept := range d.store.known() {
			if kept.Settled == nil || len(addresses) == 0 {
				continue
			}
			before := last[peerID]
			// A sequence stands for one content only: what changes again waits for the next.
			if before.epoch == epoch && before.sequence == sequence {
				continue
			}
			if before.epoch == epoch && slices.Equal(before.addresses, addresses) && now.Sub(before.at) < publishAgain {
				continue
			}
			keys, err := kept.writerKeys(d.PeerID(), epoch)
			if err == nil && d.publish(keys, sequence) == nil {
				last[peerID] = written{epoch, sequence, addresses, now}
			}
		}
		d.pause(lookAtAddresses)
	}
}

// findPresence learns the addresses of a device that this one is paired with.
func (d *Device) findPresence(ctx context.Context, id peer.ID) error {
	ctx, done := context.WithTimeout(ctx, dialTime)
	defer done()
	for ctx.Err() == nil {
		epoch := record.Epoch(time.Now())
		for _, each := range []int64{epoch, epoch - 1, epoch + 1} {
			found := false
			kept := d.store.known()[id.String()]
			if kept.Settled == nil {
				return errors.New("the device is not paired")
			}
			keys, err := kept.readerKeys(id.String(), each)
			if err != nil {
				continue
			}
			_ = d.read(ctx, keys, func(content record.Content, _ uint64) bool {
				if content.Peer != id.String() {
					return false
				}
				_, err := d.keepAddresses(content, record.MaxAddresses)
				found = found || err == nil
				return found
			})
			if found {
				return nil
			}
		}
		d.pause(searchAgain)
	}
	return errors.New("the device has left no record that can be found")
}

func (d *Device) publish(keys record.Keys, sequence uint64) error {
	addresses := d.rendezvous.addresses()
	content := record.Content{Peer: d.PeerID(), Addresses: addresses[:min(len(addresses), record.MaxAddresses)]}
	sealed, err := record.Seal(keys, content, sequence, time.Now())
	if err != nil {
		return err
	}
	key, err := keys.RoutingKey()
	if err != nil {
		return err
	}
	return d.rendezvous.put(d.context, key, sealed)
}

func (d *Device) read(ctx context.Context, keys record.Keys, enough func(record.Content, uint64) bool) error {
	key, err := keys.RoutingKey()
	if err != nil {
		return err
	}
	return d.rendezvous.search(ctx, key, func(value []byte) bool {
		content, sequence, err := record.Open(keys, value)
		return err == nil && enough(content, sequence)
	})
}

// keepAddresses takes those addresses of a record that lead somewhere, the
// first of them.
func (d *Device) keepAddresses(content record.Content, most int) (peer.ID, error) {
	id, err := peer.Decode(content.Peer)
	if err != nil {
		return "", err
	}
	onlyLoopback := !slices.ContainsFunc(d.host.Addrs(), func(a multiaddr.Multiaddr) bool { return !manet.IsIPLoopback(a) })
	var usable []multiaddr.Multiaddr
	for _, text := range content.Addresses {
		address, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			continue
		}
		address, named := peer.SplitAddr(address)
		if (named != "" && named != id) || !isPublishable(address) || (manet.IsIPLoopback(address) && !onlyLoopback) {
			continue
		}
		usable = append(usable, address)
	}
	if len(usable) == 0 {
		return "", errors.New("no address of the record leads anywhere")
	}
	d.host.Peerstore().AddAddrs(id, usable[:min(len(usable), most)], addressLifetime)
	return id, nil
}

// isPublishable holds for TCP over IP, and relays that are reached by it.
func isPublishable(address multiaddr.Multiaddr) bool {
	if address == nil || manet.IsIPUnspecified(address) || manet.IsIP6LinkLocal(address) {
		return false
	}
	ip, err := manet.ToIP(address)
	if err != nil || ip.IsMulticast() || ip.IsLinkLocalUnicast() {
		return false
	}
	_, err = address.ValueForProtocol(multiaddr.P_TCP)
	return err == nil
}

func isRelayed(address multiaddr.Multiaddr) bool {
	_, err := address.ValueForProtocol(multiaddr.P_CIRCUIT)
	return err == nil
}

func (d *Device) pause(duration time.Duration) {
	select {
	case <-time.After(duration):
	case <-d.context.Done():
	}
}
