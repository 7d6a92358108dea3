package filebackup

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Attributes are the extended attributes of a file as one text that can be compared:
// name=value in the order of the names, joined by blanks, the name escaped as in an URL
// and the value in base64.
type Attributes string

// The attributes in which Linux keeps the access lists of POSIX.
const (
	accessList  = "system.posix_acl_access"
	defaultList = "system.posix_acl_default"
)

var (
	errAttributes = errors.New("these are no attributes that can be kept")

	// errNoAttributes says that attributes were backed up and cannot be set.
	errNoAttributes = errors.New("the attribute cannot be restored here: restore to a file system that has it, or set Config.IgnoreAttributes")
)

type attribute struct{ name, value string }

// isAccessList reports whether an attribute is an access list of POSIX.
func isAccessList(name string) bool { return name == accessList || name == defaultList }

// isKept reports whether an attribute is backed up: those of users and access lists.
// Others speak to one kernel or one security policy.
func isKept(name string) bool { return strings.HasPrefix(name, "user.") || isAccessList(name) }

func makeAttributes(list []attribute) Attributes {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b attribute) int { return comparePaths(a.name, b.name) })
	words := make([]string, 0, len(list))
	for _, a := range list {
		words = append(words, url.QueryEscape(a.name)+"="+base64.RawStdEncoding.EncodeToString([]byte(a.value)))
	}
	return Attributes(strings.Join(words, " "))
}

// list returns the attributes, each of a kind that is kept, or says what is wrong.
func (a Attributes) list() ([]attribute, error) {
	var list []attribute
	for word := range strings.FieldsSeq(string(a)) {
		name, value, _ := strings.Cut(word, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil {
			return nil, err
		}
		data, err := base64.RawStdEncoding.DecodeString(value)
		if err != nil {
			return nil, err
		}
		if !isKept(plain) {
			return nil, fmt.Errorf("attribute %q is of no kind that is kept", plain)
		}
		list = append(list, attribute{plain, string(data)})
	}
	if makeAttributes(list) != a {
		return nil, errors.New("they are not in their order")
	}
	return list, nil
}

// differ names the attributes in which two differ.
func (a Attributes) differ(b Attributes) string {
	var names []string
	for _, of := range [][2]Attributes{{a, b}, {b, a}} {
		for word := range strings.FieldsSeq(string(of[0])) {
			if !slices.Contains(strings.Fields(string(of[1])), word) {
				name, _, _ := strings.Cut(word, "=")
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}
