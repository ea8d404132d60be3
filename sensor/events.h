// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The wire between kernel and user space. decode/sensor.py reads exactly these structs, and a test
// compares both through the BTF of the built object.
//
// A record is one of the structs below followed by its texts: `head.text[i]` is the length in bytes
// of the i-th text, and the texts lie one behind the other in that order, without separators.
#pragma once

#include "arch_x86_64.h"

#ifdef __bpf__
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
#else
#include <stdint.h>
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;
#endif

// Positions of KINDS in model/observation.py, plus one. KW_ANY counts losses before the kind is known.
enum kw_kind {
	KW_ANY,
	KW_EXEC,
	KW_FORK,
	KW_EXIT,
	KW_OPEN,
	KW_INHERIT,
	KW_RENAME,
	KW_LINK,
	KW_CHMOD,
	KW_UNLINK,
	KW_SETNS,
	KW_UNSHARE,
	KW_MOUNT,
	KW_PTRACE,
	KW_MODULE,
	KW_KINDS,
};

// Why an event, or a part of one, was lost. KW_RECURSION is filled in by the loader.
enum kw_loss {
	KW_RING_FULL,
	KW_MAP_FULL,
	KW_TRUNCATED,
	KW_READ_FAILED,
	KW_RECURSION,
	KW_LOSSES,
};

enum kw_call {
	KW_CALL_NONE,
#define X(name, ...) KW_CALL_##name,
	KW_CALLS(X)
#undef X
		KW_CALL_clone,
	KW_CALL_clone3,
	KW_CALL_fork,
	KW_CALL_vfork,
	KW_CALL_exit,
	KW_CALLS_END,
};

enum kw_phase {
	KW_RUN,
	KW_SETUP,
};

// Where a path comes from: nowhere, the kernel's objects, or the caller's memory.
enum kw_source {
	KW_NOWHERE,
	KW_KERNEL,
	KW_USER,
};

// What the texts are, by family. A base is the kernel's own path of the directory that a relative
// user path starts from; it is empty when the user path is absolute.
enum kw_text {
	KW_TEXT_PATH = 0,
	KW_TEXT_BASE = 1,     // file events, failed exec
	KW_TEXT_CWD = 1,      // exec
	KW_TEXT_OLD_PATH = 2, // rename, link
	KW_TEXT_OLD_BASE = 3,
	KW_TEXT_SCRIPT = 2, // exec: as the caller named it
	KW_TEXT_ARGV = 3,   // exec: NUL behind each
	KW_TEXT_ENVIRONMENT = 4,
	KW_TEXT_SOURCE = 2, // mount
	KW_TEXT_FILESYSTEM = 3,
	KW_TEXT_NAME = 2, // module
	KW_TEXTS = 5,
};

// Why a host process's call by path is here: what of it lies in a container's file system.
enum kw_visit {
	KW_NO_VISIT = 0,
	KW_VISIT_ROOT = 1,	// its root directory
	KW_VISIT_DIRECTORY = 2, // its working directory or a descriptor it named: relative paths only
};

struct kw_head {
	u64 time; // nanoseconds since boot
	s64 result;
	u64 start; // of the thread group's leader, nanoseconds since boot
	u64 parent_start;
	u64 cgroup_id; // in the v2 tree
	u32 pid;       // thread group, in the first pid namespace
	u32 tid;
	u32 ppid;
	u32 uid;
	u32 euid;
	u32 gid;
	u32 loginuid;
	u32 mount_ns;
	u16 kind;
	u16 call; // enum kw_call
	u8 phase;
	u8 path_source;
	u8 old_path_source;
	u8 truncated;
	u16 text[KW_TEXTS];
	u16 visit; // enum kw_visit
	u16 reserved[2];
	u8 container[32]; // the container id's 64 hex digits as bytes; zeros: the host
	char comm[16];
};

struct kw_file {
	u64 inode;
	u64 size;
	s64 ctime; // nanoseconds since the epoch
	s64 mtime;
	u32 device; // as stat(2) encodes it
	u32 mode;
	u32 flags;
	s32 descriptor;
	u8 upper;
	u8 overlay;
	u8 memfd;
	u8 created;
	u32 reserved;
};

struct kw_exec_event {
	struct kw_head head;
	struct kw_file file;
	u64 capabilities;
	u32 tty;
	u32 reserved;
};

struct kw_fork_event {
	struct kw_head head;
	u64 child_start;
	u32 child_pid;
	u32 flags; // CLONE_NEW* of the namespaces the child does not share with its parent
};

struct kw_exit_event {
	struct kw_head head;
	s32 exit_code; // as wait(2) encodes it
	u32 reserved;
};

// open, inherit, rename, link, chmod, unlink
struct kw_file_event {
	struct kw_head head;
	struct kw_file file;
};

// setns, unshare, mount, ptrace, module
struct kw_call_event {
	struct kw_head head;
	struct kw_file file;
	s64 request;
	u32 target_pid;
	u32 reserved;
};

#define KW_ENV_NAMES 16
#define KW_ENV_NAME 24 // bytes of a name with its '=', at most

// An allowed environment variable's name, compared by words: (read & mask) == word.
struct kw_env_name {
	u64 word[KW_ENV_NAME / 8];
	u64 mask[KW_ENV_NAME / 8];
};

// What the loader decides before the verifier sees the programs.
struct kw_knobs {
	u32 host;	// not 0: host processes are reported like container processes
	u32 wake_bytes; // a ring this full wakes the reader
	u32 kinds;	// bit n: kind n is reported
	u32 env_names;

	struct kw_env_name env[KW_ENV_NAMES];
};
