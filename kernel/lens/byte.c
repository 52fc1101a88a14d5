// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_READ_BYTE and MATRIX_LENS_WRITE_BYTE.
 *
 * Locking: where a process and virtual address are given, check and access are one step under
 * the lock of the page table that maps the page (shared/memory.c). With MATRIX_LENS_PHYSICAL there
 * is no such lock: a reference keeps the page from becoming another one.
 *
 * The access itself goes by the kernel's own map of all memory, and only after that was asked:
 * some pages are missing there (memfd_secret(2)) or read-only, and touching those would oops.
 */
#include "lens.h"

#include "compat.h"
#include "shared/memory.h"
#include <linux/capability.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/security.h>
#include <linux/sched/mm.h>

struct access {
	struct matrix_lens_byte *byte;
	bool is_write;
	struct folio *written; /* out: referenced; to be marked dirty where sleeping is allowed */
	int error;
};

/* Of a file, whether on disk or in memory. */
static bool is_file(struct folio *folio)
{
	return !folio_test_anon(folio) && folio_mapping(folio);
}

/* What a user's page is: anonymous, or of a file. */
static bool is_user_memory(struct folio *folio)
{
	return folio_test_anon(folio) || is_file(folio);
}

/* Is the page in the kernel's map of memory, and may it be accessed so there? SDM vol. 3, 4.6. */
static bool is_reachable(struct page *page, bool is_write)
{
	const u64 needed = _PAGE_PRESENT | (is_write ? _PAGE_RW : 0);
	void *address = kmap_local_page(page);
	unsigned int level;
	pte_t *entry = lookup_address((unsigned long)address, &level);
	u8 unused;
	bool reachable = entry && (pte_val(READ_ONCE(*entry)) & needed) == needed &&
			 !copy_from_kernel_nofault(&unused, address, sizeof(unused));

	kunmap_local(address);
	return reachable;
}

/*
 * The access itself, which KASAN is not to check: by force, it may be to a piece of a page of the
 * kernel's that is free just now, and that is no mistake of who reads it.
 */
static noinline __no_sanitize_address u8 touch(u8 *at, bool is_write, u8 value)
{
	return is_write ? arch_xchg(at, value) : READ_ONCE(*at);
}

/* The page is reachable, and stays what it is: it is referenced, or mapped and its table locked. */
static void access_byte(struct page *page, struct access *access)
{
	struct matrix_lens_byte *byte = access->byte;
	u8 *at = (u8 *)kmap_local_page(page) + offset_in_page(byte->physical_address);

	byte->value = touch(at, access->is_write, byte->value);
	kunmap_local(at);
	if (access->is_write && is_user_memory(page_folio(page))) {
		access->written = page_folio(page);
		folio_get(access->written);
	}
}

/*
 * Has the page no other user than one mapping? In doubt it has. @mapped is the page that the
 * mapping's entry names: the first one where an entry stands for more.
 */
static bool is_private(struct page *page, struct page *mapped, struct folio *folio)
{
	if (folio_test_anon(folio) && !folio_test_ksm(folio) && page_is_exclusive(mapped, folio))
		return true;
	return !PageCompound(page) && !folio_test_ksm(folio) && !folio_test_swapcache(folio) &&
	       atomic_read(&page->_mapcount) == 0;
}

static int check_write(struct page *page, struct page *mapped, u32 flags)
{
	struct folio *folio = page_folio(page);

	/* Processes map some of the kernel's pages: its clock, and buffers of drivers. */
	if (!(flags & MATRIX_LENS_FORCE) && !is_user_memory(folio))
		return -EACCES;
	/* A page of tmpfs or of hugetlb is all that there is of the file. */
	if (is_file(folio) && !folio_test_swapbacked(folio) && !folio_test_hugetlb(folio))
		return -EROFS;
	if (!(flags & MATRIX_LENS_FORCE) && !is_private(page, mapped, folio))
		return -EBUSY;
	return 0;
}

/* @entry is present, and what it says is there: @mapped is the first page that it stands for. */
static int access_mapped(u64 entry, struct page *mapped, struct access *access)
{
	struct matrix_lens_byte *byte = access->byte;
	struct page *page = pfn_to_page(byte->physical_address >> PAGE_SHIFT);
	int error = 0;

	if (!is_reachable(page, access->is_write) ||
	    (access->is_write && entry & MATRIX_PAGE_ZERO))
		return -EACCES;
	if (access->is_write)
		error = check_write(page, mapped, byte->flags);
	if (!error)
		access_byte(page, access);
	return error;
}

static void visit_access(struct vm_area_struct *vma, unsigned long address,
			 const struct memory_leaf *leaf, void *context)
{
	struct access *access = context;
	u64 entry = memory_entry(vma, leaf);
	u64 start = entry & MATRIX_PAGE_ADDRESS;

	if (!(entry & MATRIX_PAGE_PRESENT) ||
	    start + (address & (leaf->size - 1)) != access->byte->physical_address)
		access->error = -ESTALE;
	else if (entry & MATRIX_PAGE_DEVICE)
		access->error = page_is_ram(start >> PAGE_SHIFT) ? -EACCES : -EFAULT;
	else
		access->error = access_mapped(entry, pfn_to_page(start >> PAGE_SHIFT), access);
}

static int access_in_process(struct access *access)
{
	unsigned long address = access->byte->virtual_address;
	struct mm_struct *mm = memory_get(access->byte->pid);
	struct vm_area_struct *vma;

	if (IS_ERR(mm))
		return PTR_ERR(mm);
	access->error = mmap_read_lock_killable(mm) ? -EINTR : -ESTALE;
	if (access->error == -ESTALE) {
		vma = find_vma(mm, address);
		if (vma && vma->vm_start <= address)
			memory_visit(vma, address, visit_access, access);
		mmap_read_unlock(mm);
	}
	mmput(mm);
	return access->error;
}

/*
 * The huge page of zeros has no flag of its own, and its symbol is not exported: it is of 2 MiB and
 * nobody's. Some large piece of the kernel's own may look like it, and is refused with it.
 */
static bool may_be_huge_zero(struct page *page, struct folio *folio)
{
	return PageCompound(page) && compound_order(&folio->page) == PMD_SHIFT - PAGE_SHIFT &&
	       !folio_test_anon(folio) && !folio_test_hugetlb(folio) && !folio->page.mapping;
}

static int access_page(struct page *page, struct access *access)
{
	struct folio *folio = page_folio(page);
	u32 flags = access->byte->flags;
	int error = 0;

	if (!is_reachable(page, access->is_write) || is_zero_pfn(page_to_pfn(page)) ||
	    folio_test_reserved(folio) || may_be_huge_zero(page, folio) ||
	    (!(flags & MATRIX_LENS_FORCE) && !is_user_memory(folio)))
		return -EACCES;
	/* Which entries stand for it is not known here: of a large page others may, in doubt. */
	if (access->is_write)
		error = check_write(page, page, flags);
	if (!error)
		access_byte(page, access);
	return error;
}

static int access_physical(struct access *access)
{
	unsigned long frame = access->byte->physical_address >> PAGE_SHIFT;
	struct page *page;
	struct folio *folio;
	int error;

	if (!page_is_ram(frame))
		return -EFAULT;
	page = pfn_to_online_page(frame);
	if (!page)
		return -EFAULT;
	folio = page_folio(page);
	/* A page without a reference is free, or about to become another. */
	if (!folio_try_get(folio))
		return -EACCES;
	/* It may have been split or freed and become another before the reference was taken. */
	error = page_folio(page) == folio ? access_page(page, access) : -EACCES;
	folio_put(folio);
	return error;
}

static int check(const struct matrix_lens_byte *byte, bool is_write)
{
	const bool physical = byte->flags & MATRIX_LENS_PHYSICAL;

	if (byte->flags & ~(MATRIX_LENS_PHYSICAL | MATRIX_LENS_FORCE) || byte->reserved[0] ||
	    byte->reserved[1] || byte->reserved[2])
		return -EINVAL;
	if (physical && (byte->pid || byte->virtual_address))
		return -EINVAL;
	/* Else the two do not mean the same byte of a page. */
	if (!physical &&
	    offset_in_page(byte->virtual_address) != offset_in_page(byte->physical_address))
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN) || ((physical || is_write) && !capable(CAP_SYS_RAWIO)))
		return -EPERM;
	/* Both say why in the kernel's log. */
	if (security_locked_down(is_write ? LOCKDOWN_DEV_MEM : LOCKDOWN_KCORE))
		return -EPERM;
	return 0;
}

static long handle(struct matrix_lens_byte *byte, bool is_write)
{
	struct access access = { .byte = byte, .is_write = is_write };
	int error = check(byte, is_write);

	if (error)
		return error;
	if (byte->flags & MATRIX_LENS_PHYSICAL)
		error = access_physical(&access);
	else
		error = access_in_process(&access);
	if (access.written) {
		/* Else a page that was in swap already would be dropped, and the byte lost. */
		set_page_dirty_lock(&access.written->page);
		folio_put(access.written);
	}
	return error;
}

long lens_read_byte(void *argument)
{
	return handle(argument, false);
}

long lens_write_byte(void *argument)
{
	return handle(argument, true);
}
