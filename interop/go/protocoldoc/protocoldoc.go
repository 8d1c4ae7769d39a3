// Package protocoldoc reads the test vectors beside PROTOCOL.md, so that the
// tests check this program against them and not against itself.
package protocoldoc

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
)

// Vectors reads a file of docs/vectors into target.
func Vectors(name string, target any) error {
	_, here, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../../docs/vectors", name))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, target)
}
