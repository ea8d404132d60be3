// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Everything that is particular to x86-64: register names and system call numbers, for the three
// ways into the kernel (64 bit, x32, and 32 bit by int 0x80 or a 32-bit program).
// Another architecture is another file like this one.
#pragma once

// name, kind, 64-bit number, x32 number (its flag bit taken off), i386 number. -1: has none.
// The order is `enum kw_call` on the wire and CALLS in decode/sensor.py.
#define KW_CALLS(X)                                    \
	X(execve, KW_EXEC, 59, 520, 11)                \
	X(execveat, KW_EXEC, 322, 545, 358)            \
	X(open, KW_OPEN, 2, 2, 5)                      \
	X(creat, KW_OPEN, 85, 85, 8)                   \
	X(openat, KW_OPEN, 257, 257, 295)              \
	X(openat2, KW_OPEN, 437, 437, 437)             \
	X(open_by_handle_at, KW_OPEN, 304, 304, 342)   \
	X(rename, KW_RENAME, 82, 82, 38)               \
	X(renameat, KW_RENAME, 264, 264, 302)          \
	X(renameat2, KW_RENAME, 316, 316, 353)         \
	X(link, KW_LINK, 86, 86, 9)                    \
	X(linkat, KW_LINK, 265, 265, 303)              \
	X(chmod, KW_CHMOD, 90, 90, 15)                 \
	X(fchmod, KW_CHMOD, 91, 91, 94)                \
	X(fchmodat, KW_CHMOD, 268, 268, 306)           \
	X(fchmodat2, KW_CHMOD, 452, 452, 452)          \
	X(unlink, KW_UNLINK, 87, 87, 10)               \
	X(unlinkat, KW_UNLINK, 263, 263, 301)          \
	X(setns, KW_SETNS, 308, 308, 346)              \
	X(unshare, KW_UNSHARE, 272, 272, 310)          \
	X(mount, KW_MOUNT, 165, 165, 21)               \
	X(move_mount, KW_MOUNT, 429, 429, 429)         \
	X(pivot_root, KW_MOUNT, 155, 155, 217)         \
	X(ptrace, KW_PTRACE, 101, 521, 26)             \
	X(process_vm_writev, KW_PTRACE, 311, 540, 348) \
	X(init_module, KW_MODULE, 175, 175, 128)       \
	X(finit_module, KW_MODULE, 313, 313, 350)

#define KW_X32_BIT 0x40000000
#define KW_NUMBERS 600	    // larger than every number above
#define KW_TS_COMPAT 0x0002 // arch/x86/include/asm/thread_info.h: this call came by the 32-bit gate

// Numbers that make a process, told apart for the fork event's system call name.
#define KW_NR_CLONE 56
#define KW_NR_FORK 57
#define KW_NR_VFORK 58
#define KW_NR_CLONE3 435

#ifdef __bpf__
struct pt_regs {
	unsigned long r10, r9, r8, dx, si, di, bx, cx, bp, orig_ax;
} __attribute__((preserve_access_index));

struct thread_info {
	unsigned int status;
} __attribute__((preserve_access_index));

// The n-th argument of a system call. `compat` and `n` are constants where this is used.
static __attribute__((always_inline)) unsigned long kw_arg(const struct pt_regs *regs, const int n,
							   const int compat)
{
	switch (n) {
	case 0:
		return compat ? (unsigned int)regs->bx : regs->di;
	case 1:
		return compat ? (unsigned int)regs->cx : regs->si;
	case 2:
		return compat ? (unsigned int)regs->dx : regs->dx;
	case 3:
		return compat ? (unsigned int)regs->si : regs->r10;
	case 4:
		return compat ? (unsigned int)regs->di : regs->r8;
	default:
		return compat ? (unsigned int)regs->bp : regs->r9;
	}
}
#endif
