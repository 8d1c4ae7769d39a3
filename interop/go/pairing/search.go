package pairing

import (
	"context"
	"crypto/rand"
	"time"
)

const (
	// A candidate that kept silent may show the code a little later.
	firstAskAgain = 500 * time.Millisecond
	lastAskAgain  = 8 * time.Second
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
	news := map[string]chan struct{}{} // of those who are asked
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
			if known := news[peer]; known != nil {
				select {
				case known <- struct{}{}:
				default:
				}
				continue
			}
			if peer == j.options.Self || len(news) == maxCandidates {
				continue
			}
			news[peer] = make(chan struct{}, 1)
			contact, err := newContact(j.keys, j.options, seed, peer)
			if err != nil {
				return nil, err
			}
			go j.ask(asking, contact, news[peer], found, refused)
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

// ask repeats a PairingRequest to one candidate, always the same bytes, ever
// less often, and at once when there is news of it.
func (j *Join) ask(ctx context.Context, contact *contact, news <-chan struct{}, found chan<- *contact, refused chan<- Failure) {
	wait := firstAskAgain
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
		case <-news:
			wait = firstAskAgain
		case <-time.After(wait):
			wait = min(2*wait, lastAskAgain)
		}
	}
}
