// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory of a process, as its page tables say.
 *
 * The kernel's own walkers (walk_page_range(), folio_walk_start()) are not exported to modules,
 * so this one goes down by hand, with nothing but inline functions of the kernel's headers.
 *
 * Locking and lifetimes:
 * - mmap_lock, held for reading by the caller, keeps the mappings as they are, and the tables
 *   from being freed by munmap().
 * - Some kernels free tables all the same: khugepaged since 6.5, MADV_DONTNEED since 6.14; by
 *   RCU. So the way down is within rcu_read_lock(), and once a table's lock is held, the entry
 *   above it is looked at again: if it has changed, all begins anew.
 * - hugetlb shares tables between processes, and unshares them under i_mmap_rwsem, which is
 *   therefore held for reading.
 * - A table's lock keeps its entries as they are, and with them the pages that they map.
 */
#include "memory.h"

#include "compat.h"
#include "process.h"
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/hugetlb_inline.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/swap.h>

/*
 * As mm_access() does it: exec_update_lock is held, so that no exec() comes between the check and
 * the use; then the user namespace of what it executes is asked, which is another one where the
 * process may not read that file.
 */
static struct mm_struct *get_permitted(struct task_struct *task)
{
	struct mm_struct *mm;

	if (task->flags & PF_KTHREAD)
		return ERR_PTR(-ENXIO);
	if (down_read_killable(&task->signal->exec_update_lock))
		return ERR_PTR(-EINTR);
	mm = get_task_mm(task);
	if (!mm) {
		mm = ERR_PTR(-ESRCH);
	} else if (!exec_ns_capable(task, mm, CAP_SYS_PTRACE)) {
		mmput(mm);
		mm = ERR_PTR(-EPERM);
	}
	up_read(&task->signal->exec_update_lock);
	return mm;
}

/**
 * memory_get - the memory of a process, if the caller may look into it
 * @pid: in the caller's pid namespace
 *
 * Return: the memory, which mmput() gives back; else as process_get_permitted(), and
 * ERR_PTR(-ENXIO) for kernel threads, ERR_PTR(-EINTR)
 */
struct mm_struct *memory_get(pid_t pid)
{
	struct task_struct *task = process_get_permitted(pid);
	struct mm_struct *mm;

	if (IS_ERR(task))
		return ERR_CAST(task);
	mm = get_permitted(task);
	put_task_struct(task);
	return mm;
}

/*
 * Is an entry of an upper table a page, and not a table? Such an entry has PSE, whether it is
 * present or PROT_NONE; pud_leaf() misses the latter. One without any of these bits stands for a
 * page that is elsewhere: swapped, or being moved. SDM vol. 3, 4.5.4.
 */
static bool is_page(u64 entry)
{
	return (entry & _PAGE_PSE) || !(entry & (_PAGE_PRESENT | _PAGE_PROTNONE));
}

static void find_pte(struct mm_struct *mm, unsigned long address, const pmd_t *pmd, pmd_t value,
		     struct memory_leaf *leaf)
{
	leaf->level = MEMORY_PTE;
	leaf->size = PAGE_SIZE;
	/* Of the copy: the original may have become another thing by now. */
	leaf->entry = (const u64 *)pte_offset_kernel(&value, address);
	leaf->lock = pte_lockptr(mm, &value);
	leaf->guard = (const u64 *)pmd;
	leaf->guard_value = pmd_val(value);
}

static void find_pmd(struct mm_struct *mm, unsigned long address, pud_t value,
		     struct memory_leaf *leaf)
{
	pmd_t *pmd = pmd_offset(&value, address);
	pmd_t entry = READ_ONCE(*pmd);

	leaf->size = PMD_SIZE;
	if (pmd_none(entry))
		return;
	if (is_page(pmd_val(entry))) {
		leaf->level = MEMORY_PMD;
		leaf->entry = (const u64 *)pmd;
		leaf->lock = pmd_lockptr(mm, pmd);
		leaf->guard = leaf->entry;
		leaf->guard_value = pmd_val(entry);
	} else if (!pmd_bad(entry)) {
		find_pte(mm, address, pmd, entry, leaf);
	}
}

/* Goes down without any lock; what is found is true only once leaf->guard was looked at again. */
static void find_leaf(struct mm_struct *mm, unsigned long address, struct memory_leaf *leaf)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pud, entry;

	*leaf = (struct memory_leaf){ .level = MEMORY_HOLE, .size = PGDIR_SIZE };
	if (pgd_none(READ_ONCE(*pgd)) || pgd_bad(READ_ONCE(*pgd)))
		return;
	p4d = p4d_offset(pgd, address);
	leaf->size = P4D_SIZE;
	if (p4d_none(READ_ONCE(*p4d)) || p4d_bad(READ_ONCE(*p4d)))
		return;
	pud = pud_offset(p4d, address);
	entry = READ_ONCE(*pud);
	leaf->size = PUD_SIZE;
	if (pud_none(entry))
		return;
	if (is_page(pud_val(entry))) {
		leaf->level = MEMORY_PUD;
		leaf->entry = (const u64 *)pud;
		leaf->lock = pud_lockptr(mm, pud);
		leaf->guard = leaf->entry;
		leaf->guard_value = pud_val(entry);
	} else if (!pud_bad(entry)) {
		find_pmd(mm, address, entry, leaf);
	}
}

/* False where the tables have changed meanwhile. */
static bool try_visit(struct vm_area_struct *vma, unsigned long address, memory_visitor visit,
		      void *context)
{
	struct memory_leaf leaf;
	bool valid = true;

	rcu_read_lock();
	find_leaf(vma->vm_mm, address, &leaf);
	if (leaf.level == MEMORY_HOLE) {
		visit(vma, address, &leaf, context);
	} else {
		spin_lock(leaf.lock);
		valid = READ_ONCE(*leaf.guard) == leaf.guard_value;
		if (valid)
			visit(vma, address, &leaf, context);
		spin_unlock(leaf.lock);
	}
	rcu_read_unlock();
	return valid;
}

/**
 * memory_visit - look at where an address ends in the page tables
 * @vma: the mapping that covers it; mmap_lock is held for reading
 * @address: in @vma
 * @visit: called once, with what was found
 * @context: for @visit
 */
void memory_visit(struct vm_area_struct *vma, unsigned long address, memory_visitor visit,
		  void *context)
{
	struct address_space *shared =
		is_vm_hugetlb_page(vma) && vma->vm_file ? vma->vm_file->f_mapping : NULL;

	if (shared)
		i_mmap_lock_read(shared);
	while (!try_visit(vma, address, visit, context))
		cpu_relax();
	if (shared)
		i_mmap_unlock_read(shared);
}

/* What stands in an entry that is not present. */
static u64 absent_entry(u64 value)
{
	softleaf_t entry = softleaf_from_pte(__pte(value));

	if (value == 0)
		return 0;
	if (softleaf_is_swap(entry))
		return MATRIX_PAGE_SWAPPED;
	if (softleaf_is_migration(entry))
		return MATRIX_PAGE_MOVING;
	if (softleaf_is_device_private(entry))
		return MATRIX_PAGE_DEVICE;
	return 0; /* a marker, or a page that the memory lost (hwpoison) */
}

/*
 * The functions from here to memory_entry() are inlined with a constant level: one of them runs
 * for each page of a range, and a page's cost there is some ten instructions.
 */
static __always_inline u64 entry_frame(enum memory_level level, u64 value)
{
	switch (level) {
	case MEMORY_PMD:
		return pmd_pfn(__pmd(value));
	case MEMORY_PUD:
		return pud_pfn(__pud(value));
	default:
		/* Not value >> PAGE_SHIFT: the frame of a PROT_NONE entry is inverted (L1TF). */
		return pte_pfn(__pte(value));
	}
}

/* Whether the frame is one that the kernel manages for its users, as vm_normal_page() decides. */
static __always_inline bool is_normal(struct vm_area_struct *vma, enum memory_level level,
				      u64 value, u64 frame)
{
	if (level == MEMORY_PTE)
		return !(value & _PAGE_SPECIAL);
	return !(vma->vm_flags & VM_PFNMAP) && pfn_valid(frame);
}

static __always_inline u64 page_kind(struct vm_area_struct *vma, enum memory_level level,
				     u64 frame)
{
	struct page *page = pfn_to_page(frame);
	struct folio *folio = page_folio(page);
	u64 kind = PageCompound(page) ? MATRIX_PAGE_COMPOUND : 0;

	if (likely(folio_test_anon(folio)))
		return kind | MATRIX_PAGE_ANONYMOUS |
		       (folio_test_ksm(folio) ? MATRIX_PAGE_KSM : 0);
	/* Its symbol is not exported; but it is the only page of this size and place. */
	if (level != MEMORY_PTE && vma_is_anonymous(vma))
		return kind | MATRIX_PAGE_ZERO;
	if (folio_test_swapbacked(folio) && !is_vm_hugetlb_page(vma))
		kind |= MATRIX_PAGE_SHMEM;
	return kind | MATRIX_PAGE_FILE;
}

static __always_inline u64 describe(struct vm_area_struct *vma, enum memory_level level, u64 value)
{
	static const u64 sizes[] = {
		[MEMORY_PTE] = MATRIX_PAGE_SIZE_4K,
		[MEMORY_PMD] = MATRIX_PAGE_SIZE_2M,
		[MEMORY_PUD] = MATRIX_PAGE_SIZE_1G,
	};
	u64 frame, entry = MATRIX_PAGE_MAPPED;

	if (unlikely(!(value & (_PAGE_PRESENT | _PAGE_PROTNONE)) &&
		     (level == MEMORY_PTE || !(value & _PAGE_PSE))))
		return entry | absent_entry(value);

	frame = entry_frame(level, value);
	entry |= MATRIX_PAGE_PRESENT | sizes[level] | frame << PAGE_SHIFT;
	if (value & _PAGE_DIRTY_BITS)
		entry |= MATRIX_PAGE_DIRTY;
	if (value & _PAGE_RW)
		entry |= MATRIX_PAGE_WRITABLE;
	if (unlikely(!(value & _PAGE_PRESENT)))
		entry = (entry & ~MATRIX_PAGE_WRITABLE) | MATRIX_PAGE_NO_ACCESS;
	if (level != MEMORY_PTE && is_vm_hugetlb_page(vma))
		entry |= MATRIX_PAGE_HUGETLB;
	if (likely(is_normal(vma, level, value, frame)))
		return entry | page_kind(vma, level, frame);
	if (level == MEMORY_PTE && is_zero_pfn(frame))
		return entry | MATRIX_PAGE_ZERO;
	return entry | MATRIX_PAGE_DEVICE;
}

/**
 * memory_entry - what is told of a page
 * @vma: the mapping
 * @leaf: where it was found; its lock is held
 *
 * Return: MATRIX_PAGE_*, of the first page if the entry maps more than one
 */
u64 memory_entry(struct vm_area_struct *vma, const struct memory_leaf *leaf)
{
	u64 value;

	if (leaf->level == MEMORY_HOLE)
		return MATRIX_PAGE_MAPPED;
	value = READ_ONCE(*leaf->entry);
	if (leaf->level == MEMORY_PTE)
		return describe(vma, MEMORY_PTE, value);
	if (leaf->level == MEMORY_PMD)
		return describe(vma, MEMORY_PMD, value);
	return describe(vma, MEMORY_PUD, value);
}

/* What memory_walk_step() hands to its visitor. */
struct step {
	u64 *room;
	unsigned long pages_max; /* of room, and up to the end of the mapping or walk */
	struct memory_run *run;
};

static void visit_step(struct vm_area_struct *vma, unsigned long address,
		       const struct memory_leaf *leaf, void *context)
{
	struct step *step = context;
	struct memory_run *run = step->run;
	unsigned long end, i;

	if (leaf->level == MEMORY_PTE) {
		run->pages = PTRS_PER_PTE - pte_index(address);
		run->pages = min(run->pages, step->pages_max);
		run->entries = step->room;
		for (i = 0; i < run->pages; i++)
			step->room[i] = describe(vma, MEMORY_PTE, READ_ONCE(leaf->entry[i]));
		return;
	}
	end = (address & ~(leaf->size - 1)) + leaf->size;
	run->entries = NULL;
	run->pages = (end - address) >> PAGE_SHIFT;
	run->first = memory_entry(vma, leaf);
	if (run->first & MATRIX_PAGE_PRESENT)
		run->first += address & (leaf->size - 1);
}

/**
 * memory_walk_step - go on by some pages
 * @walk: where; not at its end
 * @room: where entries that differ are put
 * @room_pages: how many fit, one or more
 * @run: out: what the pages are
 *
 * mmap_lock is held for reading; if it was not all the time since the last step, walk->vma
 * is set to NULL by the caller.
 */
void memory_walk_step(struct memory_walk *walk, u64 *room, unsigned long room_pages,
		      struct memory_run *run)
{
	unsigned long left = (walk->end - walk->address) >> PAGE_SHIFT;
	unsigned long address = walk->address;
	struct step step = { .room = room, .run = run };

	if (!walk->vma || walk->vma->vm_end <= address)
		walk->vma = find_vma(walk->mm, address);
	if (!walk->vma || address < walk->vma->vm_start) {
		*run = (struct memory_run){ .pages = left };
		if (walk->vma)
			run->pages = min(left, (walk->vma->vm_start - address) >> PAGE_SHIFT);
	} else {
		left = min(left, (walk->vma->vm_end - address) >> PAGE_SHIFT);
		step.pages_max = min(left, room_pages);
		memory_visit(walk->vma, address, visit_step, &step);
		run->pages = min(run->pages, left);
	}
	walk->address += run->pages << PAGE_SHIFT;
}
