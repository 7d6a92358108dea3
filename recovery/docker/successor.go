package docker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Labels that a recreation puts on the container that it makes.
const (
	labelPlan     = "andon.plan"     // the ID of the plan
	labelReplaces = "andon.replaces" // the ID of the container before it
)

// errAutoRemove says why a container cannot be replaced with a way back.
var errAutoRemove = errors.New("the engine removes this container when it stops (--rm), so that there would be no way back")

// successor returns the body of a call that makes a container with the same
// settings on another image. What the old container has only because its own image
// says so is left out, so that the new image's command, environment and health check
// apply. Volumes without a name are kept by name, so that the data stays. The
// restart policy is "no" until the new container has been seen to be well.
func successor(c Container, old Image, ref string, labels map[string]string) (json.RawMessage, error) {
	var raw, img struct {
		Config, HostConfig map[string]any
		Mounts             []map[string]any
		NetworkSettings    struct{ Networks map[string]map[string]any }
	}
	if err := errors.Join(decode(c.Raw, &raw), decode(old.Raw, &img)); err != nil {
		return nil, fmt.Errorf("reading the settings of %s: %w", c.Name, err)
	}
	if raw.Config == nil || raw.HostConfig == nil {
		return nil, fmt.Errorf("the engine does not tell the settings of %s", c.Name)
	}
	if c.AutoRemove {
		return nil, fmt.Errorf("%s: %w", c.Name, errAutoRemove)
	}
	cfg, host := raw.Config, raw.HostConfig
	withoutImage(cfg, img.Config)
	all, _ := cfg["Labels"].(map[string]any)
	if all == nil {
		all = map[string]any{}
	}
	for k, v := range labels {
		all[k] = v
	}
	cfg["Labels"], cfg["Image"] = all, ref
	mode, _ := host["NetworkMode"].(string)
	uts, _ := host["UTSMode"].(string)
	if name, _ := cfg["Hostname"].(string); name == short(c.ID) || mode == "host" || uts == "host" || strings.HasPrefix(mode, "container:") {
		delete(cfg, "Hostname") // it was made from the old ID, or is not the container's own
	}
	host["RestartPolicy"] = map[string]any{"Name": "no"}
	delete(host, "ContainerIDFile")
	keepLinks(host)
	keepVolumes(host, raw.Mounts)
	body := maps.Clone(cfg)
	body["HostConfig"] = host
	if !strings.HasPrefix(mode, "container:") {
		if networks := endpoints(c.ID, raw.NetworkSettings.Networks); len(networks) > 0 {
			body["NetworkingConfig"] = map[string]any{"EndpointsConfig": networks}
		}
	}
	return json.Marshal(body)
}

// decode reads JSON without rounding a number.
func decode(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(into)
}

// withoutImage removes from a container's settings what its image has given it.
func withoutImage(cfg, img map[string]any) {
	delete(cfg, "OnBuild")
	same := func(key string) bool { return reflect.DeepEqual(cfg[key], img[key]) }
	if same("Entrypoint") { // an entrypoint of its own takes the image's command away too
		delete(cfg, "Entrypoint")
		if same("Cmd") {
			delete(cfg, "Cmd")
		}
	}
	for _, key := range []string{"WorkingDir", "User", "StopSignal", "Shell", "Healthcheck"} {
		if same(key) {
			delete(cfg, key)
		}
	}
	for _, key := range []string{"Labels", "ExposedPorts", "Volumes"} {
		own, _ := cfg[key].(map[string]any)
		theirs, _ := img[key].(map[string]any)
		for k, v := range theirs {
			if reflect.DeepEqual(own[k], v) {
				delete(own, k)
			}
		}
	}
	own, _ := cfg["Env"].([]any)
	theirs, _ := img["Env"].([]any)
	if own != nil {
		cfg["Env"] = slices.DeleteFunc(own, func(v any) bool { return slices.Contains(theirs, v) })
	}
}

// keepLinks turns links from the form in which they are told, "/db:/bot/alias", into
// the one in which they are given.
func keepLinks(host map[string]any) {
	links, _ := host["Links"].([]any)
	for i, l := range links {
		if to, alias, ok := strings.Cut(fmt.Sprint(l), ":"); ok {
			links[i] = strings.TrimPrefix(to, "/") + ":" + alias[strings.LastIndexByte(alias, '/')+1:]
		}
	}
}

// keepVolumes binds the volumes that the settings do not name, by the names that
// the engine gave them.
func keepVolumes(host map[string]any, mounts []map[string]any) {
	binds, _ := host["Binds"].([]any)
	given, _ := host["Mounts"].([]any)
	covered := func(at any) bool {
		for _, b := range binds {
			if parts := strings.Split(fmt.Sprint(b), ":"); len(parts) > 1 && parts[1] == at {
				return true
			}
		}
		for _, m := range given {
			if m, ok := m.(map[string]any); ok && m["Target"] == at {
				return true
			}
		}
		return false
	}
	// the engine tells them in no order, and the plan keeps a digest
	slices.SortFunc(mounts, func(a, b map[string]any) int {
		return strings.Compare(fmt.Sprint(a["Destination"]), fmt.Sprint(b["Destination"]))
	})
	for _, m := range mounts {
		name, _ := m["Name"].(string)
		if m["Type"] != "volume" || name == "" {
			continue
		}
		for _, g := range given {
			if g, ok := g.(map[string]any); ok && g["Target"] == m["Destination"] && (g["Source"] == nil || g["Source"] == "") {
				g["Source"] = name
			}
		}
		if !covered(m["Destination"]) {
			bind := fmt.Sprintf("%s:%v", name, m["Destination"])
			if rw, ok := m["RW"].(bool); ok && !rw {
				bind += ":ro"
			}
			binds = append(binds, bind)
		}
	}
	if len(binds) > 0 {
		host["Binds"] = binds
	}
}

// endpoints returns how the container is in the networks that somebody made. What
// the engine gave it there, such as its address, it gives again.
func endpoints(id string, networks map[string]map[string]any) map[string]any {
	out := map[string]any{}
	for name, n := range networks {
		if slices.Contains([]string{"bridge", "host", "none", "default", "nat"}, name) {
			continue
		}
		endpoint := map[string]any{}
		for _, key := range []string{"IPAMConfig", "Links", "DriverOpts"} {
			if v, ok := n[key]; ok && v != nil {
				endpoint[key] = v
			}
		}
		aliases, _ := n["Aliases"].([]any)
		aliases = slices.DeleteFunc(slices.Clone(aliases), func(a any) bool { s, _ := a.(string); return s == "" || strings.HasPrefix(id, s) })
		if len(aliases) > 0 {
			endpoint["Aliases"] = aliases
		}
		out[name] = endpoint
	}
	return out
}
