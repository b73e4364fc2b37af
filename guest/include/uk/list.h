/* SPDX-License-Identifier: BSD-3-Clause */
/* Linked lists as queue.h describes them: TAILQ (doubly linked, with a tail) and STAILQ (singly linked, with a tail). */
#ifndef UK_LIST_H
#define UK_LIST_H

#define UK_TAILQ_HEAD(name, type)                                                                     \
	struct name {                                                                                 \
		type *tqh_first;                                                                      \
		type **tqh_last;                                                                      \
	}
#define UK_TAILQ_ENTRY(type)                                                                          \
	struct {                                                                                      \
		type *tqe_next;                                                                       \
		type **tqe_prev;                                                                      \
	}
#define UK_TAILQ_INIT(h)                                                                              \
	do {                                                                                          \
		(h)->tqh_first = NULL;                                                                \
		(h)->tqh_last = &(h)->tqh_first;                                                      \
	} while (0)
#define UK_TAILQ_FIRST(h) ((h)->tqh_first)
#define UK_TAILQ_NEXT(e, f) ((e)->f.tqe_next)
#define UK_TAILQ_EMPTY(h) ((h)->tqh_first == NULL)
#define UK_TAILQ_FOREACH(e, h, f) for ((e) = (h)->tqh_first; (e); (e) = (e)->f.tqe_next)
#define UK_TAILQ_INSERT_TAIL(h, e, f)                                                                 \
	do {                                                                                          \
		(e)->f.tqe_next = NULL;                                                               \
		(e)->f.tqe_prev = (h)->tqh_last;                                                      \
		*(h)->tqh_last = (e);                                                                 \
		(h)->tqh_last = &(e)->f.tqe_next;                                                     \
	} while (0)
#define UK_TAILQ_REMOVE(h, e, f)                                                                      \
	do {                                                                                          \
		if ((e)->f.tqe_next)                                                                  \
			(e)->f.tqe_next->f.tqe_prev = (e)->f.tqe_prev;                                \
		else                                                                                  \
			(h)->tqh_last = (e)->f.tqe_prev;                                              \
		*(e)->f.tqe_prev = (e)->f.tqe_next;                                                   \
	} while (0)

#define UK_STAILQ_HEAD(name, type)                                                                    \
	struct name {                                                                                 \
		type *stqh_first;                                                                     \
		type **stqh_last;                                                                     \
	}
#define UK_STAILQ_ENTRY(type)                                                                         \
	struct {                                                                                      \
		type *stqe_next;                                                                      \
	}
#define UK_STAILQ_INIT(h)                                                                             \
	do {                                                                                          \
		(h)->stqh_first = NULL;                                                               \
		(h)->stqh_last = &(h)->stqh_first;                                                    \
	} while (0)
#define UK_STAILQ_FIRST(h) ((h)->stqh_first)
#define UK_STAILQ_INSERT_TAIL(h, e, f)                                                                \
	do {                                                                                          \
		(e)->f.stqe_next = NULL;                                                              \
		*(h)->stqh_last = (e);                                                                \
		(h)->stqh_last = &(e)->f.stqe_next;                                                   \
	} while (0)
#define UK_STAILQ_REMOVE_HEAD(h, f)                                                                   \
	do {                                                                                          \
		(h)->stqh_first = (h)->stqh_first->f.stqe_next;                                       \
		if (!(h)->stqh_first)                                                                 \
			(h)->stqh_last = &(h)->stqh_first;                                            \
	} while (0)

#endif
