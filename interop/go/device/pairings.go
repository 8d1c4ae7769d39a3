package device

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"spacedock/interop/pairing"
	"spacedock/interop/record"
)

const (
	pairingProtocol = "/spacedock/pairing/1.0.0"
	maxInvitations  = 16
	maxURIAddresses = 16
)

// Invite shows a code. An event tells how it ends.
func (d *Device) Invite(ask bool) (words, uri string, err error) {
	options := pairing.InvitationOptions{
		Self: d.PeerID(), Name: d.options.Name, Rows: d.store,
		Finished: d.reportPairing,
		SendCancel: func(peerID string, cancel pairing.Message) {
			go func() { _, _ = d.exchange(d.context, peerID, cancel) }()
		},
	}
	if ask {
		options.Ask = d.reportQuestion
	}
	invitation, err := pairing.NewInvitation(options)
	if err != nil {
		return "", "", err
	}
	d.mu.Lock()
	d.invitations = slices.DeleteFunc(d.invitations, (*pairing.Invitation).Over)
	if len(d.invitations) == maxInvitations {
		d.mu.Unlock()
		return "", "", errors.New("too many codes at once")
	}
	d.invitations = append(d.invitations, invitation)
	d.mu.Unlock()
	select {
	case d.codeShown <- struct{}{}:
	default:
	}
	if d.rendezvous != nil {
		code := invitation.Keys()
		go d.keepRecord(record.Initiators(code), 0, invitation.Open)
		go d.findJoiners(record.Joiners(code), invitation.Unused)
	}
	return invitation.Words(), d.uriOf(invitation.Words()), nil
}

func (d *Device) uriOf(words string) string {
	var parameters []string
	for _, address := range d.Addresses() {
		if len(parameters) < maxURIAddresses {
			parameters = append(parameters, "peer="+url.QueryEscape(address))
		}
	}
	return "spacedock:" + strings.ReplaceAll(words, " ", "-") + "?" + strings.Join(parameters, "&")
}

// readURI splits what was given into words and addresses.
func readURI(text string) (words string, peers []string, err error) {
	scheme, rest, found := strings.Cut(strings.TrimSpace(text), ":")
	if !found || !strings.EqualFold(scheme, "spacedock") {
		return text, nil, nil
	}
	rest, _, _ = strings.Cut(strings.TrimPrefix(rest, "//"), "#")
	words, query, _ := strings.Cut(rest, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", nil, err
	}
	peers = values["peer"]
	return words, peers[:min(len(peers), maxURIAddresses)], nil
}

// Join looks for the one who shows the words, and pairs with it. An event
// tells how it ends.
func (d *Device) Join(text string, peers []string, ask bool, limit time.Duration) error {
	words, more, err := readURI(text)
	if err != nil {
		return err
	}
	entropy, err := pairing.ParseWords(words)
	if err != nil {
		return err
	}
	given, err := d.addAddresses(append(peers, more...))
	if err != nil {
		return err
	}
	options := pairing.JoinOptions{Self: d.PeerID(), Name: d.options.Name, Rows: d.store, Exchange: d.exchange}
	if ask {
		options.Ask = d.askAndWait
	}
	join := pairing.NewJoin(entropy, options)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.join != nil {
		return errors.New("a join is going on already")
	}
	d.join = join
	for _, id := range given {
		d.candidates[id]++
	}
	go d.runJoin(join, limit)
	return nil
}

func (d *Device) runJoin(join *pairing.Join, limit time.Duration) {
	ctx, done := context.WithTimeout(d.context, limit)
	defer done()
	if d.rendezvous != nil {
		code, isOpen := join.Keys(), func() bool { return ctx.Err() == nil }
		go d.lookFor(record.Initiators(code), lastLookForInitiator, isOpen, func(content record.Content) {
			if id, err := d.keepAddresses(content, record.MaxAddresses); err == nil {
				d.addCandidate(id)
			}
		})
		go d.leaveRecord(record.Joiners(code), isOpen)
	}
	found, err := join.Run(ctx, d.feedCandidates(ctx))
	done()
	d.mu.Lock()
	d.join = nil
	d.mu.Unlock()
	failure := pairing.Failure{Reason: pairing.Interrupted}
	if err == nil {
		failure.Reason = ""
	} else {
		errors.As(err, &failure)
	}
	d.reportPairing(found, failure.Reason)
}

// feedCandidates hands on everybody who is seen, and again when there is news
// of them, as long as the search goes on.
func (d *Device) feedCandidates(ctx context.Context) <-chan string {
	feed := make(chan string)
	go func() {
		handed := map[peer.ID]int{}
		for {
			d.mu.Lock()
			wanted := d.wanted
			var fresh []peer.ID
			for id, news := range d.candidates {
				if handed[id] != news {
					handed[id] = news
					fresh = append(fresh, id)
				}
			}
			d.mu.Unlock()
			for _, id := range fresh {
				select {
				case feed <- id.String():
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-wanted:
			case <-ctx.Done():
				return
			}
		}
	}()
	return feed
}

// CancelPairing calls off what is going on.
func (d *Device) CancelPairing() {
	d.mu.Lock()
	join, invitations := d.join, slices.Clone(d.invitations)
	d.mu.Unlock()
	for _, each := range invitations {
		each.Cancel()
	}
	if join != nil {
		join.Cancel()
	}
}

// Confirm is the person's answer to whoever asks.
func (d *Device) Confirm(yes bool) error {
	d.mu.Lock()
	answers, invitations := d.answers, slices.Clone(d.invitations)
	d.answers = nil
	d.mu.Unlock()
	if answers != nil {
		answers <- yes
		return nil
	}
	for _, each := range invitations {
		each.Approve(yes)
	}
	return nil
}

func (d *Device) reportQuestion(peerID, name, digits string) {
	d.options.Report(Event{Event: "confirm", PeerID: peerID, Name: name, Digits: digits})
}

func (d *Device) askAndWait(ctx context.Context, peerID, name, digits string) bool {
	answers := make(chan bool, 1)
	d.mu.Lock()
	d.answers = answers
	d.mu.Unlock()
	d.reportQuestion(peerID, name, digits)
	select {
	case yes := <-answers:
		return yes
	case <-ctx.Done():
		return false
	}
}

func (d *Device) reportPairing(p pairing.Pairing, failure pairing.Reason) {
	if failure != "" {
		d.options.Report(Event{Event: "pairing-failed", Reason: string(failure)})
		return
	}
	d.options.Report(Event{Event: "paired", PeerID: p.PeerID, Name: p.Name})
}

// lookAtInvitations ends those whose time is over.
func (d *Device) lookAtInvitations() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-d.context.Done():
			return
		case <-ticker.C:
			d.mu.Lock()
			invitations := slices.Clone(d.invitations)
			d.mu.Unlock()
			for _, each := range invitations {
				each.Look()
			}
		}
	}
}

// handlePairing answers a question, or keeps silent by resetting the stream.
func (d *Device) handlePairing(stream network.Stream) {
	_ = stream.SetDeadline(time.Now().Add(pairing.QuestionTime))
	question, err := readMessage(stream)
	if err != nil {
		_ = stream.Reset()
		return
	}
	answer := d.answerPairing(stream.Conn().RemotePeer().String(), question)
	if answer == nil {
		_ = stream.Reset()
		return
	}
	text, err := pairing.EncodeMessage(*answer)
	if err == nil {
		_, err = stream.Write(text)
	}
	if err != nil {
		_ = stream.Reset()
		return
	}
	_ = stream.Close()
}

func (d *Device) answerPairing(peerID string, question pairing.Message) *pairing.Message {
	d.mu.Lock()
	join, invitations := d.join, slices.Clone(d.invitations)
	d.mu.Unlock()
	if join != nil {
		if answer := join.Handle(peerID, question); answer != nil {
			return answer
		}
	}
	for _, each := range invitations {
		if answer := each.Handle(peerID, question); answer != nil {
			return answer
		}
	}
	if question.Type == pairing.Confirmed {
		return d.answerFromRow(peerID, question)
	}
	return nil
}

// answerFromRow finishes a pairing whose invitation a restart has ended.
func (d *Device) answerFromRow(peerID string, confirmed pairing.Message) *pairing.Message {
	acknowledgement, name := d.store.pending(peerID)
	if acknowledgement == nil || !hmac.Equal(acknowledgement, confirmed.Acknowledgement) {
		return nil
	}
	if err := d.store.Activate(peerID); err != nil {
		return nil
	}
	d.reportPairing(pairing.Pairing{PeerID: peerID, Name: name}, "")
	return &pairing.Message{Type: pairing.Acknowledged}
}

// exchange asks a peer one question.
func (d *Device) exchange(ctx context.Context, peerID string, question pairing.Message) (pairing.Message, error) {
	id, err := peer.Decode(peerID)
	if err != nil {
		return pairing.Message{}, err
	}
	text, err := pairing.EncodeMessage(question)
	if err != nil {
		return pairing.Message{}, err
	}
	ctx, done := context.WithTimeout(network.WithAllowLimitedConn(ctx, "pairing"), pairing.PatienceTime)
	defer done()
	if err := d.reach(ctx, id); err != nil {
		return pairing.Message{}, err
	}
	stream, err := d.host.NewStream(ctx, id, pairingProtocol)
	if err != nil {
		return pairing.Message{}, err
	}
	defer stream.Close()
	abort := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer abort()
	if _, err := stream.Write(text); err != nil {
		return pairing.Message{}, err
	}
	if err := stream.CloseWrite(); err != nil {
		return pairing.Message{}, err
	}
	return readMessage(stream)
}

// reach dials a peer, unless it is connected, or connects while its dial is
// still under way, which may be in vain.
func (d *Device) reach(ctx context.Context, id peer.ID) error {
	ctx, arrived := context.WithCancel(ctx)
	defer arrived()
	watch := &network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
		if c.RemotePeer() == id {
			arrived()
		}
	}}
	d.host.Network().Notify(watch)
	defer d.host.Network().StopNotify(watch)
	err := d.host.Connect(ctx, peer.AddrInfo{ID: id})
	if len(d.host.Network().ConnsToPeer(id)) > 0 {
		return nil
	}
	return err
}

// readMessage reads to the end of the stream, and no more than a message has.
func readMessage(stream io.Reader) (pairing.Message, error) {
	text, err := io.ReadAll(io.LimitReader(stream, pairing.MaxMessageSize+1))
	if err != nil {
		return pairing.Message{}, err
	}
	message, err := pairing.DecodeMessage(text)
	if err != nil {
		return pairing.Message{}, fmt.Errorf("a message that cannot be read: %w", err)
	}
	return message, nil
}

// Probe does what a thief of the words may do: it sends several unrelated
// requests to one peer.
func (d *Device) Probe(ctx context.Context, words, address string, times int) ([]string, error) {
	entropy, err := pairing.ParseWords(words)
	if err != nil {
		return nil, err
	}
	peers, err := d.addAddresses([]string{address})
	if err != nil {
		return nil, err
	}
	var answers []string
	for range times {
		request, err := pairing.NewRequest(entropy, d.PeerID(), peers[0].String())
		if err != nil {
			return nil, err
		}
		answer, err := d.exchange(ctx, peers[0].String(), request)
		if err != nil {
			answers = append(answers, "silence")
			continue
		}
		answers = append(answers, string(answer.Type))
	}
	return answers, nil
}
