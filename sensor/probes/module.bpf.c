// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Code is loaded into the kernel.
#include "../lib/handler.h"

// The name as the kernel found it in the image; the call's end follows in the same thread.
SEC("tp_btf/module_load")
int kw_module_load(u64 *ctx)
{
	struct module *module = (struct module *)ctx[0];
	struct kw_module_name name = {};
	u32 tid = bpf_get_current_pid_tgid();

	bpf_probe_read_kernel_str(name.name, sizeof(name.name),
				  __builtin_preserve_access_index(&module->name));
	bpf_map_update_elem(&kw_modules, &tid, &name, BPF_ANY);
	return 0;
}

static __always_inline void kw_put_module_name(u32 slot)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct kw_module_name *name = bpf_map_lookup_elem(&kw_modules, &tid);
	struct kw_draft *draft = kw_draft(slot);
	u64 end;

	if (!name || !draft)
		return;
	end = draft->end;
	KW_BOUND(end);
	if (end <= KW_RECORD - sizeof(*name)) {
		__builtin_memcpy(&draft->bytes[end], name, sizeof(*name));
		kw_grow(draft, KW_TEXT_NAME, sizeof(*name));
	}
	bpf_map_delete_elem(&kw_modules, &tid);
}

static __always_inline int kw_emit_module(u32 call, int ret, int fd)
{
	struct kw_call_event *event;
	struct file *file = 0;
	int slot;

	event = kw_start_call(&slot, KW_MODULE, call, ret);
	if (!event)
		return 0;
	event->file.descriptor = fd;
	if (fd >= 0)
		file = kw_fd_file(kw_task(), fd);
	if (file) {
		event->head.path_source = KW_KERNEL;
		kw_read_file(&event->file, file);
		kw_text_file(slot, KW_TEXT_PATH, file);
	}
	kw_put_module_name(slot);
	kw_finish(slot, &kw_process_ring);
	return 0;
}

KW_HANDLER(init_module)
{
	return kw_emit_module(KW_CALL_init_module, ret, -1);
}

KW_HANDLER(finit_module)
{
	return kw_emit_module(KW_CALL_finit_module, ret, ARG(0));
}
