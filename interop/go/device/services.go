package device

import (
	"context"
	"encoding/json"
	"io"

	"github.com/libp2p/go-libp2p/core/peer"

	"spacedock/interop/session"
)

// peerHandlers answers what one paired device asks.
type peerHandlers struct {
	device *Device
	peer   peer.ID
}

type requestHandler func(*peerHandlers, context.Context, []byte) ([]byte, *session.Error)

// A service has one kind of handler for each of its versions.
var (
	requests = map[string]map[uint32]requestHandler{
		"spacedock-message": {1: (*peerHandlers).storeMessages},
		"spacedock-topics":  {1: (*peerHandlers).learnTopics},
		presenceName:        {1: (*peerHandlers).learnPresence},
		"interop-echo":      {1: echo, 2: echoInObject},
		"interop-fail":      {1: fail},
	}
	streams = map[string]map[uint32]func(*session.ByteStream){
		"interop-mirror": {1: mirror},
	}
	events = map[string]map[uint32]func(*peerHandlers, session.Call){
		"spacedock-publish": {1: (*peerHandlers).receivePublication},
		"interop-shout":     {1: (*peerHandlers).reportEvent},
	}
)

func init() {
	// It names the map that it is in.
	requests["spacedock-versions"] = map[uint32]requestHandler{1: tellVersions}
}

// versionsOf lists what a name is served in, the newest first.
func versionsOf[Handler any](of map[uint32]Handler) []uint32 {
	versions := []uint32{}
	for version := range of {
		at := 0
		for at < len(versions) && versions[at] > version {
			at++
		}
		versions = append(versions[:at], append([]uint32{version}, versions[at:]...)...)
	}
	return versions
}

func unknown(versions []uint32) *session.Error {
	return &session.Error{Code: session.UnknownProtocol, Message: "This device does not serve that.", Versions: versions}
}

// Request is part of session.Handlers.
func (p *peerHandlers) Request(ctx context.Context, call session.Call) ([]byte, *session.Error) {
	handler, ok := requests[call.Name][call.Version]
	if !ok {
		return nil, unknown(versionsOf(requests[call.Name]))
	}
	return handler(p, ctx, call.Body)
}

// Open is part of session.Handlers.
func (p *peerHandlers) Open(call session.Call) (func(*session.ByteStream), *session.Error) {
	handler, ok := streams[call.Name][call.Version]
	if !ok {
		return nil, unknown(versionsOf(streams[call.Name]))
	}
	return handler, nil
}

// Event is part of session.Handlers.
func (p *peerHandlers) Event(call session.Call) {
	if handler, ok := events[call.Name][call.Version]; ok {
		handler(p, call)
	}
}

// Revoked is part of session.Handlers.
func (p *peerHandlers) Revoked(notices []byte) bool {
	return p.device.revokedBy(p.peer, notices)
}

func echo(_ *peerHandlers, _ context.Context, body []byte) ([]byte, *session.Error) {
	return body, nil
}

func echoInObject(_ *peerHandlers, _ context.Context, body []byte) ([]byte, *session.Error) {
	return answerWith(map[string]json.RawMessage{"echo": orNull(body)})
}

func fail(_ *peerHandlers, _ context.Context, body []byte) ([]byte, *session.Error) {
	data, failed := answerWith(map[string]json.RawMessage{"asked": orNull(body)})
	if failed != nil {
		return nil, failed
	}
	return nil, &session.Error{
		Code: session.RemoteFailure, Message: "There is no such thing.",
		Declared: &session.Declared{Code: "no-such-thing", Data: data},
	}
}

func mirror(stream *session.ByteStream) {
	if _, err := io.Copy(stream, stream); err != nil {
		stream.Reset(err)
		return
	}
	_ = stream.CloseWrite()
}

func (p *peerHandlers) reportEvent(call session.Call) {
	p.device.options.Report(Event{Event: "event", PeerID: p.peer.String(), Name: call.Name, Body: orNull(call.Body)})
}

func tellVersions(_ *peerHandlers, _ context.Context, body []byte) ([]byte, *session.Error) {
	var asked struct{ Name string }
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, invalid(err)
	}
	for _, versions := range [][]uint32{
		versionsOf(requests[asked.Name]), versionsOf(streams[asked.Name]), versionsOf(events[asked.Name]),
	} {
		if len(versions) > 0 {
			return answerWith(versions)
		}
	}
	return answerWith([]uint32{})
}

func answerWith(value any) ([]byte, *session.Error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, &session.Error{Code: session.RemoteFailure, Message: "The answer cannot be written."}
	}
	return text, nil
}

func invalid(err error) *session.Error {
	return &session.Error{Code: session.InvalidMessage, Message: err.Error()}
}

func orNull(body []byte) json.RawMessage {
	if len(body) == 0 {
		return json.RawMessage("null")
	}
	return body
}
