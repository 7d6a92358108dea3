package incident_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/andon-go/andon/incident"
	"github.com/stretchr/testify/require"
)

func TestTheChecklistIsThePlaybooks(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "shared", "playbook.md"))
	if os.Getenv("CI") == "true" {
		require.NoError(t, err)
	} else if err != nil {
		t.Skipf("the playbook is not beside the project: %v", err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^- \[ \] (.+)$`).FindAllStringSubmatch(string(b), -1) {
		want = append(want, m[1])
	}
	require.Equal(t, want, incident.DefaultChecklist())
}
