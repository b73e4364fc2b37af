/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workload: a little file server without a network. acceptor makes requests, three workers serve them through a
 * locked cache, disk answers misses after a while, main reports.
 */
#ifndef APP_H
#define APP_H

#ifndef __LIBNAME__
#define __LIBNAME__ "appserver"
#endif

#include <uk/alloc.h>
#include <uk/assert.h>
#include <uk/lcpu.h>
#include <uk/list.h>
#include <uk/mutex.h>
#include <uk/print.h>
#include <uk/sched.h>
#include <uk/semaphore.h>

#define WORKERS 3
#define PATH_MAX 48
#define CACHE_BUCKETS 8
#define CACHE_MAX_ENTRIES 24
#define BLOCK_SIZE 512
#define QUEUE_MAX 64
#define BURST 4

enum method { METHOD_GET = 1, METHOD_HEAD = 2, METHOD_PUT = 4 };
enum request_state { REQ_NEW, REQ_PARSED, REQ_WAITING, REQ_DONE, REQ_FAILED = -1 };

struct endpoint {
	union {
		__u32 addr;
		__u8 octets[4];
	};
	__u16 port;
};

struct connection {
	int fd;
	struct endpoint peer;
	struct {
		__u64 in;
		__u64 out;
	} bytes;
};

struct request {
	unsigned long id;
	enum request_state state;
	struct {
		unsigned int method : 3;
		unsigned int keepalive : 1;
		unsigned int retries : 4;
		signed int priority : 5;
		unsigned int : 3;
		unsigned int version : 16;
	} flags;
	struct connection *conn;
	__nsec accepted_at;
	char path[PATH_MAX];
	__u32 hash;
	__u32 checksum;
	UK_TAILQ_ENTRY(struct request) link;
};

UK_TAILQ_HEAD(request_list, struct request);

struct request_queue {
	struct request_list list;
	struct uk_mutex lock;
	struct uk_semaphore ready;
	unsigned int depth;
	unsigned int high_water;
};

struct server_config {
	const char *name;
	unsigned int workers;
	unsigned int rate; /* requests per second */
	union {
		struct {
			__u32 addr;
			__u16 port;
		} inet;
		char path[24];
	} listen;
	enum { LISTEN_INET, LISTEN_UNIX } listen_kind;
	bool verbose;
};

struct server_stats {
	__u64 accepted;
	__u64 rejected;
	__u64 served;
	__u64 failed;
	__u64 bytes_out;
	__u64 by_worker[WORKERS];
	__s32 load_change; /* may be negative */
};

struct server {
	struct server_config config;
	struct server_stats stats;
	struct request_queue queue;
	struct uk_thread *workers[WORKERS];
	struct request *current[WORKERS];
	int (*handler)(struct server *s, struct request *r);
};
extern struct server server;

/* cache.c */
struct cache_entry {
	struct cache_entry *next; /* in its bucket */
	__u32 hash;
	unsigned int hits;
	char path[PATH_MAX];
	size_t size;
	__u8 data[];
};

struct cache {
	struct uk_mutex lock;
	struct cache_entry *buckets[CACHE_BUCKETS];
	unsigned int entries;
	unsigned int hits;
	unsigned int misses;
	unsigned int evictions;
};
extern struct cache cache;

void cache_init(void);
/* Returns the checksum of the file's bytes and its size; reads it from the disk if need be, with the cache locked. */
__u32 cache_get(struct request *r, size_t *size);

/* disk.c */
struct disk_op {
	__u64 sector;
	void *buffer;
	size_t length;
	int status;
	struct uk_semaphore done;
	UK_TAILQ_ENTRY(struct disk_op) link;
};

struct disk_geometry {
	__u16 cylinders;
	__u8 heads;
	__u8 sectors;
};

struct disk {
	const char *label;
	struct disk_geometry geometry;
	struct uk_semaphore pending;
	struct uk_mutex lock;
	UK_TAILQ_HEAD(disk_op_list, struct disk_op) queue;
	__u64 head_position;
	__u64 reads;
	__u32 errors[4];
};
extern struct disk disk;

void disk_init(void);
void disk_main(void *arg) __noreturn;
int disk_read(__u64 sector, void *buffer, size_t length);

/* vfs.c */
struct file;
struct file_ops {
	int (*open)(struct file *f, const char *path, int flags);
	long (*read)(struct file *f, void *buffer, size_t length);
	void (*close)(struct file *f);
};

struct mount {
	const char *prefix;
	const struct file_ops *ops;
	struct mount *next;
	unsigned int open_files;
};
extern struct mount *mounts;

struct file {
	int fd;
	const struct mount *mount;
	__u64 first_sector;
	size_t size;
	size_t position;
};

int vfs_open(const char *path, int flags, unsigned int mode, struct file *f); /* 0, or a negative error */
long vfs_read(struct file *f, void *buffer, size_t length);
int vfs_close(struct file *f);

/* request.c */
void queue_init(struct request_queue *q);
void queue_put(struct request_queue *q, struct request *r);
struct request *queue_get(struct request_queue *q);
struct request *request_new(unsigned long id);
int request_parse(struct request *r, const char *line);
void request_free(struct request *r);
__u32 hash_path(const char *path);
__u32 checksum(const __u8 *p, size_t n, __u32 seed);

/* server.c */
void acceptor_main(void *arg) __noreturn;
void worker_main(void *arg) __noreturn; /* arg: its number, from 0 */
int serve(struct server *s, struct request *r);

/* faults.c */
void faults_init(const char *cmdline);
void fault_check(struct request *r); /* commits the chosen fault, when its time has come, in worker-2 */

/* trouble.c */
void trouble_init(const char *cmdline);
__nsec trouble_delay(void); /* boot option "slow": what each read of the disk takes longer */
bool trouble_leaks(void);   /* boot option "leak": whether the request just served is never freed */

/* burn.c */
void burn_main(void *arg) __noreturn; /* boot option "burn": functions of known cost, for profilers */

void app_main(const char *cmdline) __noreturn;
void app_secondary(struct lcpu *self);
void app_counters(void);

#endif
