// Package protocoldoc reads the test vectors out of PROTOCOL.md, so that the
// tests check this program against the document and not against itself.
package protocoldoc

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
)

var jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)\n```")

// Vectors reads the first list of JSON behind a heading into target.
func Vectors(heading string, target any) error {
	_, here, _, _ := runtime.Caller(0)
	document, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../../PROTOCOL.md"))
	if err != nil {
		return err
	}
	at := regexp.MustCompile(`(?m)^#+ ` + regexp.QuoteMeta(heading) + `$`).FindIndex(document)
	if at == nil {
		return fmt.Errorf("PROTOCOL.md has no heading %q", heading)
	}
	block := jsonBlock.FindSubmatch(document[at[1]:])
	if block == nil {
		return fmt.Errorf("nothing follows the heading %q", heading)
	}
	return json.Unmarshal(block[1], target)
}
