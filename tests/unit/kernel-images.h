/* Small kernels of each kind that -kernel knows: for its tests and its fuzzer. */
#ifndef TESTS_UNIT_KERNEL_IMAGES_H
#define TESTS_UNIT_KERNEL_IMAGES_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static void put16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, sizeof(v));
}
static void put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof(v));
}

typedef struct Image {
    uint8_t data[65536];
    size_t len;
} Image;

enum { SETUP = 4 * 512 + 512, BODY = 3000 };

static void make_linux(Image *k, unsigned version, bool high)
{
    memset(k, 0, sizeof(*k));
    k->len = SETUP + BODY;
    k->data[0x1f1] = 4;
    put16(k->data + 0x1fe, 0xaa55);
    memcpy(k->data + 0x202, "HdrS", 4);
    put16(k->data + 0x206, (uint16_t)version);
    k->data[0x211] = high;
    put32(k->data + 0x22c, 0x7fffffff);
    put32(k->data + 0x238, 2047);
    put32(k->data + 0x260, 0x100000);
    memset(k->data + SETUP, 0xcc, BODY);
}

static void make_elf64(Image *k, bool note)
{
    Elf64_Ehdr e = {.e_type = ET_EXEC,
                    .e_machine = EM_X86_64,
                    .e_version = 1,
                    .e_entry = 0xffffffff81000010,
                    .e_phoff = 64,
                    .e_ehsize = 64,
                    .e_phentsize = 56,
                    .e_phnum = (uint16_t)(2 + note)};
    Elf64_Phdr p[3] = {
        {.p_type = PT_LOAD,
         .p_offset = 0x1000,
         .p_vaddr = 0xffffffff81000000,
         .p_paddr = 0x1000000,
         .p_filesz = 0x100,
         .p_memsz = 0x2000},
        {.p_type = PT_LOAD,
         .p_offset = 0x1100,
         .p_vaddr = 0xffffffff81003000,
         .p_paddr = 0x1003000,
         .p_filesz = 0x80,
         .p_memsz = 0x80},
        {.p_type = PT_NOTE, .p_offset = 0x800, .p_filesz = 40},
    };
    static const uint32_t other[] = {4, 0, 7, 0x006e6558},
                          pvh[] = {4, 8, 18, 0x006e6558, 0x1000040, 0};
    memset(k, 0, sizeof(*k));
    memcpy(e.e_ident, ELFMAG, SELFMAG);
    e.e_ident[EI_CLASS] = ELFCLASS64;
    e.e_ident[EI_DATA] = ELFDATA2LSB;
    memcpy(k->data, &e, sizeof(e));
    memcpy(k->data + 64, p, sizeof(p));
    memcpy(k->data + 0x800, other, sizeof(other));
    memcpy(k->data + 0x810, pvh, sizeof(pvh));
    memset(k->data + 0x1000, 0xaa, 0x100);
    memset(k->data + 0x1100, 0xbb, 0x80);
    k->len = 0x1180;
}

static void make_elf32(Image *k, bool note)
{
    Elf32_Ehdr e = {.e_type = ET_EXEC,
                    .e_machine = EM_386,
                    .e_version = 1,
                    .e_entry = 0x100008,
                    .e_phoff = 52,
                    .e_ehsize = 52,
                    .e_phentsize = 32,
                    .e_phnum = (uint16_t)(1 + note)};
    Elf32_Phdr p[2] = {
        {.p_type = PT_LOAD,
         .p_offset = 0x1000,
         .p_vaddr = 0x100000,
         .p_paddr = 0x100000,
         .p_filesz = 0x100,
         .p_memsz = 0x180},
        {.p_type = PT_NOTE, .p_offset = 0x800, .p_filesz = 20},
    };
    static const uint32_t pvh[] = {4, 4, 18, 0x006e6558, 0x100020};
    memset(k, 0, sizeof(*k));
    memcpy(e.e_ident, ELFMAG, SELFMAG);
    e.e_ident[EI_CLASS] = ELFCLASS32;
    e.e_ident[EI_DATA] = ELFDATA2LSB;
    memcpy(k->data, &e, sizeof(e));
    memcpy(k->data + 52, p, sizeof(p));
    memcpy(k->data + 0x800, pvh, sizeof(pvh));
    memset(k->data + 0x1000, 0xaa, 0x100);
    k->len = 0x1100;
}

static void put_multiboot(Image *k, size_t at, uint32_t flags, const uint32_t addresses[5])
{
    put32(k->data + at, 0x1badb002);
    put32(k->data + at + 4, flags);
    put32(k->data + at + 8, -(0x1badb002 + flags));
    if (addresses) {
        memcpy(k->data + at + 12, addresses, 20);
    }
}

/* A flat file, loaded from its byte 100h on at 2 MiB, with its header 10h behind, 800h bytes and a
 * bss. */
static void make_multiboot(Image *k)
{
    static const uint32_t addresses[5] = {0x200010, 0x200000, 0x200800, 0x201800, 0x200100};
    memset(k, 0, sizeof(*k));
    k->len = 0x1000;
    memset(k->data + 0x100, 0x90, 0x800);
    put_multiboot(k, 0x110, 0x10003, addresses);
}

/* One of each; returns how many there are. */
static unsigned make_kernel(Image *k, unsigned which)
{
    enum { KINDS = 6 };
    switch (which % KINDS) {
    case 0: make_linux(k, 0x20f, true); break;
    case 1: make_linux(k, 0x201, false); break;
    case 2: make_elf64(k, true); break;
    case 3: make_elf32(k, true); break;
    case 4: make_multiboot(k); break;
    default: make_elf32(k, false); put_multiboot(k, 0x400, 3, NULL);
    }
    return KINDS;
}

#endif
