/* SPDX-License-Identifier: BSD-3-Clause */
/* The disk: a thread that answers reads after a seek time. */
#include <guest/string.h>

#include "app.h"

struct disk disk = {
	.label = "vd0",
	.geometry = { .cylinders = 306, .heads = 4, .sectors = 17 },
};

void disk_init(void)
{
	uk_semaphore_init(&disk.pending, 0);
	uk_mutex_init(&disk.lock);
	UK_TAILQ_INIT(&disk.queue);
}

static inline __nsec seek_time(__u64 from, __u64 to)
{
	__u64 distance = from > to ? from - to : to - from;

	return 500000 + distance * 1500; /* 0.5 ms, and 1.5 µs a sector */
}

static __noinline void disk_transfer(struct disk_op *op)
{
	__u8 *p = op->buffer;

	for (size_t i = 0; i < op->length; i++)
		p[i] = (__u8)(op->sector * 31 + i * 7);
	op->status = 0;
}

static __noinline struct disk_op *disk_next(void)
{
	struct disk_op *op;

	uk_semaphore_down(&disk.pending);
	uk_mutex_lock(&disk.lock);
	op = UK_TAILQ_FIRST(&disk.queue);
	UK_TAILQ_REMOVE(&disk.queue, op, link);
	uk_mutex_unlock(&disk.lock);
	return op;
}

void disk_main(void *arg)
{
	(void)arg;
	for (;;) {
		struct disk_op *op = disk_next();

		uk_sched_thread_sleep(seek_time(disk.head_position, op->sector) + trouble_delay());
		disk.head_position = op->sector;
		disk.reads++;
		disk_transfer(op);
		uk_semaphore_up(&op->done);
	}
}

static __noinline int disk_wait(struct disk_op *op)
{
	uk_semaphore_down(&op->done);
	return op->status;
}

int disk_read(__u64 sector, void *buffer, size_t length)
{
	struct disk_op op = { .sector = sector, .buffer = buffer, .length = length, .status = -11 };

	uk_semaphore_init(&op.done, 0);
	uk_mutex_lock(&disk.lock);
	UK_TAILQ_INSERT_TAIL(&disk.queue, &op, link);
	uk_mutex_unlock(&disk.lock);
	uk_semaphore_up(&disk.pending);
	return disk_wait(&op);
}
