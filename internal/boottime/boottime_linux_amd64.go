package boottime

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func find() (Clock, error) {
	c := Clock{ok: true}
	if c.now() == Never {
		return Clock{}, ErrUnsupported
	}
	if c.call = clockGettime(); c.call != 0 && c.now() == Never {
		c.call = 0
	}
	return c, nil
}

func (c Clock) now() time.Duration {
	var ts unix.Timespec
	if c.call == 0 {
		return bySyscall()
	}
	if callClock(c.call, unix.CLOCK_BOOTTIME, &ts) != 0 {
		return Never
	}
	return time.Duration(ts.Nano())
}

func bySyscall() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return Never
	}
	return time.Duration(ts.Nano())
}

// callClock calls a C function int(clockid_t, struct timespec *).
//
//go:noescape
func callClock(fn uintptr, clock int32, ts *unix.Timespec) int32

// maxImage bounds how far into the shared page's image we read.
const maxImage = 1 << 16

// clockGettime returns the address of the kernel's clock_gettime in the shared page
// (vdso(7)), or zero. The image is a small shared library that the kernel has mapped;
// its section table says where its symbols are. Whatever is not as expected gives zero,
// and the clock is then read by system calls.
func clockGettime() uintptr {
	base := sharedPage()
	if off := symbol(image(base), "__vdso_clock_gettime"); off != 0 {
		return base + uintptr(off)
	}
	return 0
}

// sharedPage returns where the kernel has mapped the image, or zero.
func sharedPage() uintptr {
	auxv, err := unix.Auxv()
	if err != nil {
		return 0
	}
	for _, v := range auxv {
		if v[0] == sysinfoEHDR {
			return v[1]
		}
	}
	return 0
}

// image returns the mapped library: its header says where its last table ends.
func image(base uintptr) []byte {
	at := *(*unsafe.Pointer)(unsafe.Pointer(&base)) // mapped by the kernel, not by Go
	if at == nil {
		return nil
	}
	head := unsafe.Slice((*byte)(at), elfHeader)
	end := binary.LittleEndian.Uint64(head[0x28:]) + uint64(binary.LittleEndian.Uint16(head[0x3a:]))*uint64(binary.LittleEndian.Uint16(head[0x3c:]))
	if string(head[:5]) != "\x7fELF\x02" || end < elfHeader || end > maxImage {
		return nil
	}
	return unsafe.Slice((*byte)(at), end)
}

const (
	elfHeader  = 64
	elfSection = 64
	elfSymbol  = 24
	dynsym     = 11 // the type of a section of dynamic symbols

	sysinfoEHDR = 33 // the key of the image's address among what the kernel tells a process
)

// symbol returns a function's offset in a 64-bit little-endian ELF image linked at
// address zero, or zero.
func symbol(elf []byte, name string) uint64 {
	u16 := func(b []byte, at int) uint64 { return uint64(binary.LittleEndian.Uint16(b[at:])) }
	u32 := func(b []byte, at int) uint64 { return uint64(binary.LittleEndian.Uint32(b[at:])) }
	u64 := func(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	part := func(from, size uint64) []byte {
		if from > uint64(len(elf)) || size > uint64(len(elf))-from {
			return nil
		}
		return elf[from : from+size]
	}
	if len(elf) < elfHeader || u16(elf, 0x3a) != elfSection {
		return 0
	}
	section := func(i uint64) []byte {
		if i >= u16(elf, 0x3c) {
			return nil
		}
		return part(u64(elf, 0x28)+i*elfSection, elfSection)
	}
	for i := range u16(elf, 0x3c) {
		s := section(i)
		if s == nil || u32(s, 4) != dynsym {
			continue
		}
		names := section(u32(s, 0x28))
		if names == nil {
			return 0
		}
		texts, symbols := part(u64(names, 0x18), u64(names, 0x20)), part(u64(s, 0x18), u64(s, 0x20))
		for ; len(symbols) >= elfSymbol; symbols = symbols[elfSymbol:] {
			from := u32(symbols, 0)
			if end := from + uint64(len(name)); end < uint64(len(texts)) && string(texts[from:end]) == name && texts[end] == 0 {
				if at := u64(symbols, 8); at < maxImage {
					return at
				}
			}
		}
	}
	return 0
}
