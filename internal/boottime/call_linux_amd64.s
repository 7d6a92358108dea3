#include "textflag.h"

// func callClock(fn uintptr, clock int32, ts *unix.Timespec) int32
//
// The frame is the C function's stack: the prologue has the goroutine's stack grown to
// it. The kernel's function uses a few hundred bytes; a page and more is for kernels
// built to probe the stack. It keeps BX and BP, by the C calling convention; Go keeps
// nothing but SP across a call of this kind.
TEXT ·callClock(SB), 0, $8192-28
	MOVQ fn+0(FP), AX
	MOVL clock+8(FP), DI
	MOVQ ts+16(FP), SI
	MOVQ SP, BX
	ANDQ $~15, SP
	CALL AX
	MOVQ BX, SP
	MOVL AX, ret+24(FP)
	RET
