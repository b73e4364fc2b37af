/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef UK_SPINLOCK_H
#define UK_SPINLOCK_H

#include <guest/arch.h>

typedef struct __spinlock {
	volatile int lock;
} __spinlock;

#define UKARCH_SPINLOCK_INITIALIZER() { 0 }

static inline void ukarch_spin_lock(__spinlock *l)
{
	while (__atomic_exchange_n(&l->lock, 1, __ATOMIC_ACQUIRE))
		while (l->lock)
			arch_relax();
}

static inline void ukarch_spin_unlock(__spinlock *l)
{
	__atomic_store_n(&l->lock, 0, __ATOMIC_RELEASE);
}

#define ukplat_spin_lock_irqsave(l, flags)                                                            \
	do {                                                                                          \
		(flags) = ukplat_lcpu_save_irqf();                                                    \
		ukarch_spin_lock(l);                                                                  \
	} while (0)
#define ukplat_spin_unlock_irqrestore(l, flags)                                                       \
	do {                                                                                          \
		ukarch_spin_unlock(l);                                                                \
		ukplat_lcpu_restore_irqf(flags);                                                      \
	} while (0)

#endif
