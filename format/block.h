/*
 * The outermost layer of the file: one file header, then blocks, each a header
 * of BLOCK_HEADER_BYTES and a payload that is one table (format/table.h).
 * Every multi-byte number is little-endian.  kymo-format(5) is the master copy;
 * this header says the same in C.
 */
#ifndef FORMAT_BLOCK_H
#define FORMAT_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#define FILE_MAGIC "\x89KYMO\r\n\x1a"
#define FILE_MAGIC_BYTES 8
#define FILE_VERSION 1
#define FILE_HEADER_BYTES 32
#define BLOCK_SYNC "\xb7KB\x1a"		/* starts every block header */
#define BLOCK_SYNC_BYTES 4
#define BLOCK_HEADER_BYTES 64
#define BLOCK_MAX_PAYLOAD (16u << 20)	/* a larger one is refused */
#define BLOCK_MAX_RECORDS (1u << 18)	/* rows of one table */
#define BLOCK_MAX_NUMBERS (1u << 20)	/* rows x fields of BLOCK_RECORDS */
#define BLOCK_MAX_TEXT (8u << 20)	/* bytes of all text of one block */
#define BLOCK_MAX_EVENT 65535u		/* event ids are 1..this */
#define BLOCK_MAX_ID ((1u << 24) - 1)	/* ids in dictionaries are 1..this */
#define TRAILER_BYTES 24		/* the last bytes of a finished file */
#define TRAILER_MAGIC "\xb7KYMOEND"	/* ends the trailer */

/*
 * Byte layouts, all little-endian.
 *
 *   file header  0 magic, 8 u16 version, 10 u16 header bytes (32),
 *                12 u32 incompat, 16 u32 compat, 20 u64 trace id,
 *                28 u32 CRC of bytes 0..27
 *   block header 0 sync, 4 u16 type, 6 u16 reserved (0, else refused),
 *                8 u32 payload bytes, 12 u32 records, 16 u32 event,
 *                20 u64 first, 28 u64 last, 36 u64 safe, 44 u32 seq,
 *                48 u32 CRC of the payload, 52 8 unused bytes (ignored),
 *                60 u32 CRC of bytes 0..59
 *   trailer      0 u64 offset of the first index block, 8 u32 unused,
 *                12 u32 CRC of bytes 0..11, 16 magic
 */

/* Feature bits this version knows; unknown incompatible ones are refused. */
#define FEATURES_INCOMPAT_KNOWN 0u
#define FEATURES_COMPAT_KNOWN 0u

enum block_type {
	BLOCK_HOST = 1,		/* key, value: the machine and the recording */
	BLOCK_CLOCK = 2,	/* anchors between the trace clock and others */
	BLOCK_EVENT = 3,	/* event descriptors, one row a field */
	BLOCK_STRINGS = 4,
	BLOCK_MODULES = 5,
	BLOCK_FRAMES = 6,
	BLOCK_STACKS = 7,
	BLOCK_TASKS = 8,
	BLOCK_MAPPINGS = 9,
	BLOCK_SYMBOLS = 10,
	BLOCK_LOSS = 11,
	BLOCK_RECORDS = 12,	/* the records of one event */
	BLOCK_COST = 13,	/* what the recorder itself used */
	BLOCK_INDEX = 14,	/* where every earlier block is */
};

struct file_header {
	uint16_t version;
	uint32_t incompat, compat;
	uint64_t trace_id;	/* random, tells two recordings apart */
};

struct block_header {
	uint16_t type;
	uint32_t payload_bytes;
	uint32_t nr_records;	/* rows of the table */
	uint32_t event;		/* BLOCK_RECORDS: whose; else 0 */
	uint64_t first_ns, last_ns;	/* of its records, inclusive; 0, 0 if timeless */
	uint64_t safe_ns;	/* no later block holds a record before this time */
	uint32_t seq;		/* 0, 1, 2 ... in file order: a hole is a lost block */
	uint32_t payload_crc;	/* CRC-32 as in zlib, gzip and PNG */
};

void file_header_encode(uint8_t out[FILE_HEADER_BYTES], const struct file_header *h);
/* -EBADMSG: not a kymo file; -EPROTO: damaged header; -ENOTSUP: a newer file. */
int file_header_decode(struct file_header *h, const uint8_t in[FILE_HEADER_BYTES]);
void block_header_encode(uint8_t out[BLOCK_HEADER_BYTES], const struct block_header *h);
/* -EBADMSG when sync, checksum or limits do not hold. */
int block_header_decode(struct block_header *h, const uint8_t in[BLOCK_HEADER_BYTES]);
/* The trailer names the file offset of the index block. */
void trailer_encode(uint8_t out[TRAILER_BYTES], uint64_t index_offset);
int trailer_decode(uint64_t *index_offset, const uint8_t in[TRAILER_BYTES]);
uint32_t block_crc(const void *data, size_t size_bytes);

#endif
