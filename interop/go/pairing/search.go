package pairing

import (
	"context"
	"crypto/rand"
	"time"
)

const (
	// askAgainAfter lies between two questions to the same candidate: it may
	// show the code a little later.
	askAgainAfter = 2 * time.Second
	maxCandidates = 64
)

// search asks all candidates at the same time. The first right Challenge wins.
func (j *Join) search(ctx, attempts context.Context, candidates <-chan string) (*contact, error) {
	asking, stop := context.WithCancel(attempts)
	defer stop()
	seed := make([]byte, 32)
	_, _ = rand.Read(seed)
	found := make(chan *contact)
	refused := make(chan Failure)
	asked := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil, Failure{NotFound}
		case <-attempts.Done():
			return nil, j.failure(attempts, attempts.Err())
		case peer, more := <-candidates:
			if !more {
				candidates = nil
				continue
			}
			if peer == j.options.Self || asked[peer] || len(asked) == maxCandidates {
				continue
			}
			asked[peer] = true
			contact, err := newContact(j.keys, j.options, seed, peer)
			if err != nil {
				return nil, err
			}
			go j.ask(asking, contact, found, refused)
		case failure := <-refused:
			return nil, failure
		case contact := <-found:
			if j.tries == maxTries {
				return nil, Failure{TooManyTries}
			}
			j.tries++
			j.choose(contact)
			return contact, nil
		}
	}
}

// ask repeats a PairingRequest to one candidate, always the same bytes.
func (j *Join) ask(ctx context.Context, contact *contact, found chan<- *contact, refused chan<- Failure) {
	for {
		answer, err := j.options.Exchange(ctx, contact.peer, contact.request)
		switch {
		case err != nil:
		case answer.Type == Refused && contact.refusesRequest(answer):
			select {
			case refused <- Failure{answer.Reason}:
			case <-ctx.Done():
			}
			return
		case answer.Type == Challenge && contact.respondTo(answer) == nil:
			select {
			case found <- contact:
			case <-ctx.Done():
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(askAgainAfter):
		}
	}
}
