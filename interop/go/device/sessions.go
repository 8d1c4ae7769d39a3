package device

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"spacedock/interop/session"
)

const (
	dialTime           = 30 * time.Second
	maxSessionsAPeer   = 17
	newSessionPingTime = 10 * time.Second
)

// ErrNotConnected says that there is no session with the device.
var ErrNotConnected = errors.New("not connected")

// Connect opens a session as its dialer, unless there is one. Without
// addresses those are used that are known, or found by the device's presence.
func (d *Device) Connect(ctx context.Context, peerID string, addresses []string) (path string, err error) {
	id, err := peer.Decode(peerID)
	if err != nil {
		return "", err
	}
	if current := d.session(id); current != nil {
		return d.pathTo(id), nil
	}
	keys := d.store.keys(peerID)
	if len(keys) == 0 {
		return "", &session.Error{Code: session.NotPaired, Message: "The device is not paired."}
	}
	if _, err := d.addAddresses(addresses); err != nil {
		return "", err
	}
	if len(addresses) == 0 && d.rendezvous != nil {
		if err := d.findPresence(ctx, id); err != nil {
			return "", err
		}
	}
	ctx, done := context.WithTimeout(network.WithAllowLimitedConn(ctx, "session"), dialTime)
	defer done()
	stream, err := d.host.NewStream(ctx, id, session.Protocol)
	if err != nil {
		return "", err
	}
	handlers := &peerHandlers{device: d, peer: id}
	opened, err := session.Dial(stream, []byte(d.host.ID()), []byte(id), keys, handlers)
	if err != nil {
		return "", d.helloFailed(id, err)
	}
	return d.pathTo(id), d.adopt(id, opened, stream)
}

// helloFailed takes note of what the other device says about the pairing.
func (d *Device) helloFailed(id peer.ID, err error) error {
	revoked := session.RevokedError{}
	switch {
	case errors.As(err, &revoked) && d.revokedBy(id, revoked.Notices):
		return &session.Error{Code: session.NotPaired, Message: "The other device has ended the pairing."}
	case errors.As(err, &revoked), errors.Is(err, session.ErrUnknownDevice):
		d.options.Report(Event{Event: "unknown", PeerID: id.String()})
		return &session.Error{Code: session.NotPaired, Message: "The other device does not know this one."}
	default:
		return err
	}
}

// handleSession answers a stream of a session that another device has opened.
func (d *Device) handleSession(stream network.Stream) {
	id := stream.Conn().RemotePeer()
	keys := d.store.keys(id.String())
	if len(keys) == 0 {
		session.TurnAway(stream, d.store.notices(id.String()))
		return
	}
	opened, err := session.Listen(stream, []byte(d.host.ID()), []byte(id), keys, &peerHandlers{device: d, peer: id})
	if err != nil {
		return
	}
	_ = d.adopt(id, opened, stream)
}

// held is a session with a device, and how it gets there.
type held struct {
	*session.Session
	path string
}

// adopt takes a session after its hello. Several may live side by side: which
// one new work goes to, session says; which one stays, settle.
func (d *Device) adopt(id peer.ID, opened *session.Session, stream network.Stream) error {
	if err := d.store.proved(id.String(), opened.Key); err != nil {
		opened.Abort(err)
		return err
	}
	added := &held{Session: opened, path: pathOf(stream.Conn())}
	d.mu.Lock()
	others := d.sessions[id]
	d.sessions[id] = append([]*held{added}, others...)
	d.mu.Unlock()
	for i, each := range others {
		if i+1 >= maxSessionsAPeer || !bytes.Equal(each.Instance, opened.Instance) {
			each.Abort(errors.New("a newer session is there"))
		}
	}
	role := "listener"
	if opened.Dialer {
		role = "dialer"
	}
	if len(others) == 0 {
		d.options.Report(Event{Event: "connected", PeerID: id.String(), Role: role, Path: added.path})
	}
	go d.awaitEnd(id, added)
	go d.tellTopics(opened)
	go d.tellPresence(id, opened)
	if d.PeerID() < id.String() {
		go d.settle(id)
	}
	return nil
}

// settle says goodbye on all sessions but the one in use, when the other side
// is known to have that. Only the device with the smaller peer id does.
func (d *Device) settle(id peer.ID) {
	stays := d.session(id)
	if stays == nil {
		return
	}
	ctx, done := context.WithTimeout(d.context, newSessionPingTime)
	defer done()
	if _, err := stays.Ping(ctx); err != nil || d.session(id) != stays {
		return
	}
	for _, each := range d.sessionsWith(id) {
		if each.Session != stays && !each.Leaving() {
			go each.Retire()
		}
	}
}

func (d *Device) awaitEnd(id peer.ID, ended *held) {
	<-ended.Done()
	d.mu.Lock()
	left := slices.DeleteFunc(d.sessions[id], func(each *held) bool { return each == ended })
	d.sessions[id] = left
	if len(left) == 0 {
		delete(d.sessions, id)
		delete(d.theirTopics, id)
	}
	d.mu.Unlock()
	if len(left) == 0 {
		d.options.Report(Event{Event: "disconnected", PeerID: id.String(), Reason: ended.Err().Error()})
	}
}

func (d *Device) sessionsWith(id peer.ID) []*held {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.sessions[id])
}

// session is the one that new work goes to: not in doubt, direct, the newest,
// in this order of weight.
func (d *Device) session(id peer.ID) *session.Session {
	var best *held
	weight := func(h *held) int {
		sum := 0
		if !h.InDoubt() {
			sum += 2
		}
		if h.path == "direct" {
			sum++
		}
		return sum
	}
	for _, each := range d.sessionsWith(id) {
		if !each.Leaving() && (best == nil || weight(each) > weight(best)) {
			best = each
		}
	}
	if best == nil {
		return nil
	}
	return best.Session
}

// SessionWith is the session that is used with a device now.
func (d *Device) SessionWith(peerID string) (*session.Session, error) {
	id, err := peer.Decode(peerID)
	if err != nil {
		return nil, err
	}
	if found := d.session(id); found != nil {
		return found, nil
	}
	return nil, ErrNotConnected
}

// Revoke ends the pairing with a device, and tells it when it is there.
func (d *Device) Revoke(peerID string) error {
	id, err := peer.Decode(peerID)
	if err != nil {
		return err
	}
	notices, err := d.store.revoke(peerID)
	if err != nil {
		return err
	}
	for _, each := range d.sessionsWith(id) {
		each.Revoke(notices)
	}
	return d.host.Network().ClosePeer(id)
}

func (d *Device) revokedBy(id peer.ID, notices []byte) bool {
	fits, err := d.store.revokedBy(id.String(), notices)
	if err != nil || !fits {
		return false
	}
	d.options.Report(Event{Event: "revoked", PeerID: id.String()})
	return true
}

// Known is a device as the list shows it.
type Known struct {
	PeerID string `json:"peerId"`
	Name   string `json:"name"`
	State  string `json:"state"`
}

// Devices lists what this device is, or was, paired with.
func (d *Device) Devices() []Known {
	devices := []Known{}
	for peerID, kept := range d.store.known() {
		known := Known{PeerID: peerID, Name: kept.Name, State: "paired"}
		switch _, err := d.SessionWith(peerID); {
		case kept.Settled == nil && (kept.RevokedBy || len(kept.Notices) > 0):
			known.State = "revoked"
		case kept.Settled == nil:
			continue
		case err == nil:
			known.State = "connected"
		}
		devices = append(devices, known)
	}
	return devices
}

func (d *Device) pathTo(id peer.ID) string {
	for _, each := range d.host.Network().ConnsToPeer(id) {
		if pathOf(each) == "direct" {
			return "direct"
		}
	}
	return "relayed"
}

func pathOf(connection network.Conn) string {
	if isRelayed(connection.RemoteMultiaddr()) {
		return "relayed"
	}
	return "direct"
}
