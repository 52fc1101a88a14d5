/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between the kernels that the modules are built for, 5.10 to 7.3. The sources are
 * written for the newest; here the older ones are taught its words.
 */
#ifndef MATRIX_COMPAT_H
#define MATRIX_COMPAT_H

#include <linux/capability.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/version.h>
#ifdef HAS_EXEC_STATE
#include <linux/sched/exec_state.h>
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
#include <linux/leafops.h>
#else
/* An entry that is not present was called a swap entry, also where it is none. */
#include <linux/swap.h>
#include <linux/swapops.h>
#define softleaf_t                         swp_entry_t
#define softleaf_from_pte(pte)             pte_to_swp_entry(pte)
#define softleaf_is_swap(entry)            (!non_swap_entry(entry))
#define softleaf_is_migration(entry)       is_migration_entry(entry)
#define softleaf_is_device_private(entry)  is_device_private_entry(entry)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 16, 0)
/* Folios came with 5.16. Before, the head of a compound page stood for all of it. */
struct folio {
	struct page page;
};

#define page_folio(of)             ((struct folio *)compound_head(of))
#define folio_mapping(folio)         page_mapping(&(folio)->page)
#define folio_test_anon(folio)       PageAnon(&(folio)->page)
#define folio_test_hugetlb(folio)    PageHuge(&(folio)->page)
#define folio_test_reserved(folio)   PageReserved(&(folio)->page)
#define folio_test_swapbacked(folio) PageSwapBacked(&(folio)->page)
#define folio_test_swapcache(folio)  PageSwapCache(&(folio)->page)
#define folio_get(folio)             get_page(&(folio)->page)
#define folio_put(folio)             put_page(&(folio)->page)
#define folio_try_get(folio)         get_page_unless_zero(&(folio)->page)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
#define kmap_local_page(page)        kmap_atomic(page)
#define kunmap_local(address)        kunmap_atomic(address)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
/* PageKsm() is all that there was. */
#define folio_test_ksm(folio) PageKsm(&(folio)->page)
#endif

#ifndef _PAGE_DIRTY_BITS
/* Since 6.6 a page that is dirty and read-only has another bit: shadow stacks have that one. */
#define _PAGE_DIRTY_BITS _PAGE_DIRTY
#endif

/*
 * Is an anonymous page in no other process? PG_anon_exclusive says so since 5.19; it may be clear
 * though the page is exclusive. It stands at the first page that a page table's entry names: one of
 * 2 MiB has it at its head, unless small entries map it. Of hugetlb it is always the head.
 */
static inline bool page_is_exclusive(struct page *page, struct folio *folio)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 19, 0)
	return PageAnonExclusive(folio_test_hugetlb(folio) ? &folio->page : page);
#else
	return page_mapcount(page) == 1 && !PageSwapCache(&folio->page);
#endif
}

/*
 * Has the caller a capability in the user namespace that a process's file was executed in? It was
 * the memory's (@mm) before it became the process's own.
 */
static inline bool exec_ns_capable(struct task_struct *task, struct mm_struct *mm, int capability)
{
#ifdef HAS_EXEC_STATE
	struct task_exec_state *state;
	bool capable;

	rcu_read_lock();
	state = rcu_dereference(task->exec_state);
	capable = state && ns_capable(state->user_ns, capability);
	rcu_read_unlock();
	return capable;
#else
	return ns_capable(mm->user_ns, capability);
#endif
}

#endif
