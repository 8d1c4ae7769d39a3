package device

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"spacedock/interop/pairing"
)

// Whoever invents peers must not have this device dial without end.
const (
	maxSighted      = 64
	maxDialling     = 8
	maxDialled      = 8 // addresses of one peer
	maxJoiners      = 3 // that the joiner's record names
	visitInterval   = 100 * time.Millisecond
	visitTime       = 8 * time.Second
	firstVisitAgain = 500 * time.Millisecond
	lastVisitAgain  = 8 * time.Second
	lingerTime      = time.Minute
)

// outreach holds the peers that a device connects to while it shows a code. A
// joiner whose dials a firewall keeps away then asks over that connection.
type outreach struct {
	host host.Host

	mu      sync.Mutex
	sighted []*sighting // the oldest first
}

type sighting struct {
	id       peer.ID
	due      time.Time
	pause    time.Duration
	dialling bool
	reached  bool
}

// see takes a peer whose addresses are known to the host: news of it makes it
// worth a visit at once.
func (o *outreach) see(id peer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := slices.IndexFunc(o.sighted, func(s *sighting) bool { return s.id == id })
	if at < 0 {
		if len(o.sighted) == maxSighted {
			o.sighted = o.sighted[1:]
		}
		at = len(o.sighted)
		o.sighted = append(o.sighted, &sighting{id: id})
	}
	o.sighted[at].due, o.sighted[at].pause = time.Now(), firstVisitAgain
}

// visitNext dials whoever has waited longest, or sees that the connection is
// still there.
func (o *outreach) visitNext(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var next *sighting
	dialling := 0
	for _, each := range o.sighted {
		switch {
		case each.dialling:
			dialling++
		case next == nil || each.due.Before(next.due):
			next = each
		}
	}
	if next == nil || dialling == maxDialling || time.Now().Before(next.due) {
		return
	}
	next.dialling = true
	go o.visit(ctx, next)
}

func (o *outreach) visit(ctx context.Context, s *sighting) {
	ctx, done := context.WithTimeout(network.WithAllowLimitedConn(ctx, "outreach"), visitTime)
	defer done()
	err := o.host.Connect(ctx, peer.AddrInfo{ID: s.id})
	o.mu.Lock()
	defer o.mu.Unlock()
	s.dialling = false
	s.reached = s.reached || err == nil
	s.due, s.pause = time.Now().Add(s.pause), min(2*s.pause, lastVisitAgain)
}

// release closes the connections to peers that are of no more use.
func (o *outreach) release(isPaired func(peer.ID) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, each := range o.sighted {
		if each.reached && !isPaired(each.id) {
			_ = o.host.Network().ClosePeer(each.id)
		}
		each.reached = false
	}
}

// reachOut visits whoever is seen, as long as a code is shown, and for a while
// after that keeps the connections, so that a joiner hears how it ended.
func (d *Device) reachOut() {
	for {
		select {
		case <-d.context.Done():
			return
		case <-d.codeShown:
		}
		for d.showsCode() && d.context.Err() == nil {
			d.outreach.visitNext(d.context)
			d.pause(visitInterval)
		}
		time.AfterFunc(lingerTime, func() {
			if !d.showsCode() {
				d.outreach.release(func(id peer.ID) bool { return len(d.store.keys(id.String())) > 0 })
			}
		})
	}
}

func (d *Device) showsCode() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.invitations, (*pairing.Invitation).Open)
}
