/* SPDX-License-Identifier: BSD-3-Clause */
/* Files on the disk, with the trace records of a vfs: X, then X_ret or X_err. */
#include <guest/string.h>
#include <uk/trace.h>

#include "app.h"

UK_TRACEPOINT(vfs_open, "\"%s\" 0x%x 0%o", const char *, int, unsigned int);
UK_TRACEPOINT(vfs_open_ret, "%d", int);
UK_TRACEPOINT(vfs_open_err, "%d", int);
UK_TRACEPOINT(vfs_read, "fd=%d buf=%p len=%lu off=%#lx", int, void *, unsigned long, long);
UK_TRACEPOINT(vfs_read_ret, "0x%x", long);
UK_TRACEPOINT(vfs_read_err, "%d", int);
UK_TRACEPOINT(vfs_close, "fd=%d", int);
UK_TRACEPOINT(vfs_close_ret, "");

static int next_fd = 3;

static int diskfs_open(struct file *f, const char *path, int flags)
{
	__u32 h = hash_path(path);

	(void)flags;
	if (h % 13 == 0) /* some files are missing */
		return -2;
	f->first_sector = h % 4096;
	f->size = BLOCK_SIZE * (1 + h % 3);
	f->position = 0;
	return 0;
}

static long diskfs_read(struct file *f, void *buffer, size_t length)
{
	int err = disk_read(f->first_sector + f->position / BLOCK_SIZE, buffer, length);

	if (err)
		return err;
	f->position += length;
	return (long)length;
}

static void diskfs_close(struct file *f) { f->position = 0; }

static int nullfs_open(struct file *f, const char *path, int flags)
{
	(void)path, (void)flags;
	f->size = 0;
	return 0;
}

static long nullfs_read(struct file *f, void *buffer, size_t length)
{
	(void)f, (void)buffer, (void)length;
	return 0;
}

static const struct file_ops diskfs_ops = { diskfs_open, diskfs_read, diskfs_close };
static const struct file_ops nullfs_ops = { nullfs_open, nullfs_read, diskfs_close };
static struct mount root_mount = { .prefix = "/", .ops = &diskfs_ops };
static struct mount null_mount = { .prefix = "/dev/null", .ops = &nullfs_ops, .next = &root_mount };
struct mount *mounts = &null_mount; /* longest prefix first */

static inline struct mount *mount_of(const char *path)
{
	struct mount *m = mounts;

	while (m && strncmp(path, m->prefix, strlen(m->prefix)))
		m = m->next;
	return m;
}

int vfs_open(const char *path, int flags, unsigned int mode, struct file *f)
{
	struct mount *m = mount_of(path);
	int err;

	trace_vfs_open(path, flags, mode);
	f->mount = m;
	err = m ? m->ops->open(f, path, flags) : -2;
	if (err) {
		trace_vfs_open_err(err);
		return err;
	}
	m->open_files++;
	f->fd = next_fd++ % 1021 + 3;
	trace_vfs_open_ret(f->fd);
	return 0;
}

long vfs_read(struct file *f, void *buffer, size_t length)
{
	long n;

	trace_vfs_read(f->fd, buffer, length, (long)f->position);
	n = f->mount->ops->read(f, buffer, length);
	if (n < 0)
		trace_vfs_read_err((int)n);
	else
		trace_vfs_read_ret(n);
	return n;
}

int vfs_close(struct file *f)
{
	trace_vfs_close(f->fd);
	f->mount->ops->close(f);
	((struct mount *)f->mount)->open_files--;
	trace_vfs_close_ret();
	return 0;
}
