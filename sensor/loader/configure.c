// SPDX-License-Identifier: Apache-2.0
// Everything that is decided before the verifier sees the programs: sizes, knobs, which programs
// are loaded at all, and which of the two ways they are attached.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "internal.h"

const struct kw_call_entry kw_call_table[] = {
#define X(name, kind, number, x32, i386) {#name, kind, number, x32, i386},
	KW_CALLS(X)
#undef X
};
const size_t kw_call_count = sizeof(kw_call_table) / sizeof(*kw_call_table);

// The system call's own function. The 32-bit gate's is called compat where it translates arguments.
const char *kw_fexit_target(struct btf *kernel, const char *name, int compat, char *out, size_t room)
{
	static const char *const native[] = {"__x64_sys_%s"};
	static const char *const gate[] = {"__ia32_compat_sys_%s", "__ia32_sys_%s"};
	const char *const *formats = compat ? gate : native;

	for (int i = 0; i < (compat ? 2 : 1); i++) {
		snprintf(out, room, formats[i], name);
		if (btf__find_by_name_kind(kernel, out, BTF_KIND_FUNC) > 0)
			return out;
	}
	return NULL;
}

// Lockdown and some builds refuse fexit programs only when one is loaded or attached: try with an
// empty one.
int kw_fexit_works(struct btf *kernel)
{
	struct bpf_insn empty[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FEXIT);
	char target[64];
	int program, link;

	if (!kw_fexit_target(kernel, "unshare", 0, target, sizeof(target)))
		return 0;
	options.attach_btf_id = btf__find_by_name_kind(kernel, target, BTF_KIND_FUNC);
	program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "kw_try", "GPL", empty, 2, &options);
	if (program < 0)
		return 0;
	link = bpf_raw_tracepoint_open(NULL, program);
	if (link >= 0)
		close(link);
	close(program);
	return link >= 0;
}

static void pack_name(struct kw_env_name *out, const char *name)
{
	char text[KW_ENV_NAME] = {0};
	unsigned char mask[KW_ENV_NAME] = {0};
	size_t length = strnlen(name, KW_ENV_NAME - 1);

	memcpy(text, name, length);
	text[length] = '=';
	memset(mask, 0xff, length + 1);
	memcpy(out->word, text, sizeof(text));
	memcpy(out->mask, mask, sizeof(mask));
}

static int set_knobs(struct kw_sensor *sensor, const struct kw_config *config)
{
	struct bpf_map *map = bpf_object__find_map_by_name(sensor->object, ".rodata.knobs");
	size_t size = 0;
	struct kw_knobs *knobs = map ? (void *)bpf_map__initial_value(map, &size) : NULL;

	if (!knobs || size < sizeof(*knobs))
		return -1;
	knobs->host = config->host;
	knobs->wake_bytes =
		config->file_ring < config->process_ring ? config->file_ring / 4 : config->process_ring / 4;
	knobs->kinds = config->kinds;
	knobs->env_names = config->environment < KW_ENV_NAMES ? config->environment : KW_ENV_NAMES;
	for (u32 i = 0; i < knobs->env_names; i++)
		pack_name(&knobs->env[i], config->names[i]);
	return 0;
}

static int set_size(struct kw_sensor *sensor, const char *name, u32 entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(sensor->object, name);

	return map ? bpf_map__set_max_entries(map, entries) : -1;
}

static int set_sizes(struct kw_sensor *sensor, const struct kw_config *config)
{
	return set_size(sensor, "kw_process_ring", config->process_ring) ||
	       set_size(sensor, "kw_file_ring", config->file_ring) ||
	       set_size(sensor, "kw_processes", config->processes);
}

static int has_compat_gate(struct btf *kernel)
{
	return btf__find_by_name_kind(kernel, "__ia32_sys_unshare", BTF_KIND_FUNC) > 0;
}

// One handler's program: off, a callee of the dispatcher, or an fexit program of its own.
static int choose_handler(struct kw_sensor *sensor, const struct kw_call_entry *call, int compat)
{
	char name[64], target[64];
	struct bpf_program *program;
	int number = compat ? call->i386 : call->number, wanted;

	snprintf(name, sizeof(name), "kw_%s%s", call->name, compat ? "_32" : "");
	program = bpf_object__find_program_by_name(sensor->object, name);
	if (!program)
		return -1;
	wanted = number >= 0 && kw_wanted(sensor->kinds, call->kind) &&
		 !(compat && !has_compat_gate(sensor->kernel));
	if (wanted && sensor->attach == KW_ATTACH_FEXIT) {
		// No such function: the kernel is built without the call.
		wanted = kw_fexit_target(sensor->kernel, call->name, compat, target, sizeof(target)) != NULL;
		if (wanted && (bpf_program__set_expected_attach_type(program, BPF_TRACE_FEXIT) ||
			       bpf_program__set_attach_target(program, 0, target)))
			return -1;
	}
	return bpf_program__set_autoload(program, wanted);
}

static int choose(struct kw_sensor *sensor, const char *name, int wanted)
{
	struct bpf_program *program = bpf_object__find_program_by_name(sensor->object, name);

	return program ? bpf_program__set_autoload(program, wanted) : -1;
}

static int choose_programs(struct kw_sensor *sensor)
{
	int modules = kw_wanted(sensor->kinds, KW_MODULE) &&
		      btf__find_by_name_kind(sensor->kernel, "btf_trace_module_load", BTF_KIND_TYPEDEF) > 0;

	for (size_t i = 0; i < kw_call_count; i++)
		for (int compat = 0; compat < 2; compat++)
			if (choose_handler(sensor, &kw_call_table[i], compat))
				return -1;
	return choose(sensor, "kw_dispatch", sensor->attach == KW_ATTACH_SYS_EXIT) ||
	       choose(sensor, "kw_module_load", modules);
}

int kw_configure(struct kw_sensor *sensor, const struct kw_config *config)
{
	return set_knobs(sensor, config) || set_sizes(sensor, config) || choose_programs(sensor);
}
