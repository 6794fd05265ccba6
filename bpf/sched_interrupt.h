/*
 * For the scheduler's programs: the interrupts that a CPU is in, and how long.
 */
#ifndef BPF_SCHED_INTERRUPT_H
#define BPF_SCHED_INTERRUPT_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/kernel_types.h"
#include "bpf/sched_state.h"

/*
 * The interrupts that a CPU is in, as a stack of numbers, each an enum
 * sched_waker_context.  Another one may come anywhere here; it leaves the stack as it
 * was, and while that is not empty also the rest.
 */
INLINE int interrupt_began(__u32 kind)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct sched_cpu *c = this_cpu(cpu);
	__u32 outer;

	if (!c)
		return 0;
	outer = c->interrupts;
	c->interrupts = outer << INTERRUPT_BITS | kind;
	if (!outer && !c->is_idle)
		c->interrupt_ns = bpf_ktime_get_ns();
	return 0;
}

INLINE int interrupt_ended(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct sched_cpu *c = bpf_map_lookup_elem(&cpus, &cpu);
	__u32 outer;

	/* One that began before the recording is not known. */
	if (!c || !c->interrupts)
		return 0;
	outer = c->interrupts >> INTERRUPT_BITS;
	if (!outer && !c->is_idle)
		c->interrupts_ns += bpf_ktime_get_ns() - c->interrupt_ns;
	c->interrupts = outer;
	return 0;
}

#define INTERRUPT(name, kind, begin, end)			\
	SEC("tp_btf/" #begin)					\
	int name##_began(__u64 *ctx)				\
	{							\
		return interrupt_began(kind);			\
	}							\
								\
	SEC("tp_btf/" #end)					\
	int name##_ended(__u64 *ctx)				\
	{							\
		return interrupt_ended();			\
	}

INTERRUPT(irq, SCHED_WAKER_IRQ, irq_handler_entry, irq_handler_exit)
INTERRUPT(softirq, SCHED_WAKER_SOFTIRQ, softirq_entry, softirq_exit)
#if defined(__TARGET_ARCH_x86)
INTERRUPT(timer, SCHED_WAKER_IRQ, local_timer_entry, local_timer_exit)
INTERRUPT(work, SCHED_WAKER_IRQ, irq_work_entry, irq_work_exit)
INTERRUPT(call, SCHED_WAKER_IRQ, call_function_entry, call_function_exit)
INTERRUPT(single, SCHED_WAKER_IRQ, call_function_single_entry, call_function_single_exit)

/*
 * Functions that another CPU asks for, in place of the interrupts that bring them (call,
 * single): nearly all of those bring nothing but a thread that is to run here, and cost
 * each CPU that is woken from idle the time of two programs.  The second argument is
 * missing where a CPU calls a function of its own.
 */
SEC("tp_btf/csd_function_entry")
int function_began(__u64 *ctx)
{
	return ctx[1] ? interrupt_began(SCHED_WAKER_IRQ) : 0;
}

SEC("tp_btf/csd_function_exit")
int function_ended(__u64 *ctx)
{
	return ctx[1] ? interrupt_ended() : 0;
}
#else
INTERRUPT(ipi, SCHED_WAKER_IRQ, ipi_entry, ipi_exit)
#endif

#endif
