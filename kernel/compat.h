/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between the kernels that the modules are built for, 5.10 to 7.3. The sources are
 * written for the newest; here the older ones are taught its words.
 */
#ifndef MATRIX_COMPAT_H
#define MATRIX_COMPAT_H

#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/version.h>

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

#endif
