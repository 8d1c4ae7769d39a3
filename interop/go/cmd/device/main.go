// Command device is one Spacedock device, driven by lines of JSON on its
// standard input and output; interop/README.md says which.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"

	"spacedock/interop/device"
)

// maxLine is what one command may have, in bytes.
const maxLine = 8 << 20

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type texts []string

func (t *texts) String() string { return strings.Join(*t, " ") }

func (t *texts) Set(text string) error {
	*t = append(*t, text)
	return nil
}

func run() error {
	var options device.Options
	flag.StringVar(&options.Directory, "dir", "", "where identity and pairings are kept")
	flag.StringVar(&options.Name, "name", "", "the device's name")
	flag.Var((*texts)(&options.Listen), "listen", "an IP address to listen on; may be repeated")
	flag.IntVar(&options.Port, "port", 0, "the TCP port; 0: any")
	flag.BoolVar(&options.MDNS, "mdns", false, "announce the device by multicast DNS, and look for others")
	flag.Var((*texts)(&options.Rendezvous), "rendezvous", "a rendezvous node's address; may be repeated")
	isNode := flag.Bool("rendezvous-node", false, "be a rendezvous node: DHT server and relay")
	flag.Parse()
	if options.Directory == "" {
		return fmt.Errorf("--dir is missing")
	}
	lines := &output{encoder: json.NewEncoder(os.Stdout)}
	options.Report = func(event device.Event) { lines.write(event) }
	if *isNode {
		return runNode(options, lines)
	}
	return runDevice(options, lines)
}

func runNode(options device.Options, lines *output) error {
	node, err := device.StartRendezvousNode(options)
	if err != nil {
		return err
	}
	lines.write(device.Event{Event: "ready", PeerID: node.PeerID(), Addresses: node.Addresses()})
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		// It takes no commands: only the end of its input counts.
		continue
	}
	return node.Close()
}

func runDevice(options device.Options, lines *output) error {
	started, err := device.Start(options)
	if err != nil {
		return err
	}
	lines.write(device.Event{Event: "ready", PeerID: started.PeerID(), Addresses: started.Addresses()})
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, maxLine)
	for input.Scan() {
		go answer(started, input.Text(), lines)
	}
	if err := input.Err(); err != nil {
		return err
	}
	return started.Close()
}

// output writes whole lines, whoever writes at the same time.
type output struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func (o *output) write(line any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.encoder.Encode(line); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
