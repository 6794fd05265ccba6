/*
 * What a generated probe program hands to record/: the layout of one record.
 * Native byte order and alignment; these bytes never reach a file.
 */
#ifndef BPF_PROBE_H
#define BPF_PROBE_H

#include <linux/types.h>

#define PROBE_MAX_STACK 127		/* frames of each of the two stacks */

/*
 * The fixed part: in the order of the probe's fields, a number in its own size
 * and alignment; of a string or bytes, an __s32 length (a negative one is the
 * -errno of memory that could not be read); then an __s32 count of kernel
 * frames and one of user frames, if those stacks were asked for, negative as
 * above.  It is filled up with zeros to a multiple of 8.
 *
 * After it the strings and bytes in the order of the fields, each filled up to a
 * multiple of 8; a string's length counts its NUL.  Then the addresses of the
 * kernel stack, then of the user stack, innermost first.
 */
struct probe_record {
	__u32 size_bytes;	/* of all this in its ring, a multiple of 8 */
	__u32 probe;		/* index given to the program */
	__u64 time_ns;		/* CLOCK_MONOTONIC */
	__u32 tid, pid;
	__u8 data[];
};

#endif
