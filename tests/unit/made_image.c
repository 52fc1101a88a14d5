// SPDX-License-Identifier: GPL-2.0-or-later
/* Makes ELF images; see made_image.h. */
#include "tests/unit/made_image.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct made_file made;
size_t made_bytes;

Elf64_Phdr made_segment(uint64_t gva, uint64_t offset, uint64_t bytes, unsigned flags)
{
    return (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = flags,
        .p_offset = offset,
        .p_vaddr = gva,
        .p_filesz = bytes,
        .p_memsz = bytes,
    };
}

int made_reset(void **state)
{
    made = (struct made_file){
        .header =
            {
                .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                            EV_CURRENT},
                .e_type = ET_EXEC,
                .e_machine = EM_X86_64,
                .e_version = EV_CURRENT,
                .e_entry = TEXT_GVA + 8,
                .e_phoff = offsetof(struct made_file, segments),
                .e_phentsize = sizeof(Elf64_Phdr),
                .e_phnum = 3,
                .e_shoff = offsetof(struct made_file, sections),
                .e_shentsize = sizeof(Elf64_Shdr),
                .e_shnum = 3,
            },
        .segments =
            {
                made_segment(DATA_GVA, offsetof(struct made_file, data), sizeof(made.data),
                             PF_R | PF_W),
                made_segment(TEXT_GVA, offsetof(struct made_file, text), sizeof(made.text),
                             PF_R | PF_X),
                {.p_type = PT_NOTE, .p_vaddr = UINT64_MAX, .p_memsz = UINT64_MAX},
            },
        .sections =
            {
                [1] = {.sh_type = SHT_SYMTAB,
                       .sh_offset = offsetof(struct made_file, symbols),
                       .sh_size = sizeof(made.symbols),
                       .sh_link = 2},
                [2] = {.sh_type = SHT_STRTAB,
                       .sh_offset = offsetof(struct made_file, names),
                       .sh_size = sizeof(made.names)},
            },
        .symbols =
            {
                [1] = {.st_name = 1,
                       .st_info = STT_FUNC,
                       .st_shndx = 1,
                       .st_value = TEXT_GVA + 8,
                       .st_size = 16},
                [2] =
                    {.st_name = 7, .st_info = STT_NOTYPE, .st_shndx = 1, .st_value = TEXT_GVA + 32},
                [3] = {.st_name = 14,
                       .st_info = STT_OBJECT,
                       .st_shndx = 1,
                       .st_value = DATA_GVA,
                       .st_size = 8},
            },
        .names = "\0start\0middle\0datum",
    };
    made.segments[0].p_memsz = 0x3000; /* .bss */
    memset(made.text, 0xcc, sizeof(made.text));
    made_bytes = sizeof(made);
    return 0;
}

struct matrix_error *made_open(struct image *image)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, &made, made_bytes), made_bytes);
    return image_open_fd(fd, "made.elf", image);
}

void assert_refused(const char *part)
{
    struct image image;
    struct matrix_error *error = made_open(&image);
    if (!error)
        fail_msg("accepted, not refused for '%s'", part);
    if (!strstr(error->message, "image made.elf") || !strstr(error->message, part))
        fail_msg("'%s' is missing in '%s'", part, error->message);
    assert_int_equal(error->kind, MATRIX_ERROR_IMAGE);
    assert_non_null(error->remedy);
    matrix_error_free(error);
}

void assert_accepted(struct image *image)
{
    struct matrix_error *error = made_open(image);
    if (error)
        fail_msg("%s", error->message);
}
