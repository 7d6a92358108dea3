package incident

import (
	"iter"
	"maps"
	"slices"
)

// few is a map for what is mostly one or two: ten thousand open incidents have several
// each, and a map of one entry takes five times the memory. Nil is empty, as of a map.
type few[V any] struct {
	list []pair[V]
	many map[string]V // all of it, once there are more than fewest
}

type pair[V any] struct {
	key   string
	value V
}

// fewest is how many are looked through one by one.
const fewest = 8

// get returns what a key stands for.
func (f *few[V]) get(key string) (value V, ok bool) {
	if f == nil {
		return value, false
	}
	if f.many != nil {
		value, ok = f.many[key]
		return value, ok
	}
	if i := f.index(key); i >= 0 {
		return f.list[i].value, true
	}
	return value, false
}

// at is get for what is zero where it is not there.
func (f *few[V]) at(key string) V {
	value, _ := f.get(key)
	return value
}

func (f *few[V]) index(key string) int {
	return slices.IndexFunc(f.list, func(p pair[V]) bool { return p.key == key })
}

// put has a key stand for a value, in a few that is made where there is none.
func put[V any](f **few[V], key string, value V) {
	if *f == nil {
		*f = &few[V]{}
	}
	(*f).put(key, value)
}

func (f *few[V]) put(key string, value V) {
	if f.many == nil {
		if i := f.index(key); i >= 0 {
			f.list[i].value = value
			return
		}
		if len(f.list) < fewest {
			f.list = append(f.list, pair[V]{key, value})
			return
		}
		f.many = maps.Collect(f.all())
		f.list = nil
	}
	f.many[key] = value
}

// drop forgets a key.
func (f *few[V]) drop(key string) {
	if f == nil {
		return
	}
	delete(f.many, key)
	if i := f.index(key); i >= 0 {
		f.list = slices.Delete(f.list, i, i+1)
	}
}

// all yields what is there, in no order. Nothing may be put or dropped meanwhile.
func (f *few[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if f == nil {
			return
		}
		for _, p := range f.list {
			if !yield(p.key, p.value) {
				return
			}
		}
		for key, value := range f.many {
			if !yield(key, value) {
				return
			}
		}
	}
}

// clone returns a copy that shares nothing but what the values point to.
func (f *few[V]) clone() *few[V] {
	if f == nil {
		return nil
	}
	return &few[V]{slices.Clone(f.list), maps.Clone(f.many)}
}
