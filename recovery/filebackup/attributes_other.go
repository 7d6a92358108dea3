//go:build !linux

package filebackup

import "os"

// attributesOf knows of none here.
func attributesOf(*os.File) (Attributes, []string, error) { return "", nil, nil }

func setAttributes(_ *os.File, want Attributes, _ bool) error {
	if want != "" {
		return errNoAttributes
	}
	return nil
}
