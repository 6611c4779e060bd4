/* An ELF core: headers, notes, then all memory in order of physical address.  Program headers may show parts of it more than
 * once (aliases in the page tables).  More of them than e_phnum can tell are counted by section header 0 (System V gABI,
 * "ELF header", e_phnum). */
#include <elf.h>

#include "dump/internal.h"

typedef struct Layout {
    uint64_t headers;       /* how many program headers */
    uint64_t sections;      /* offset of the one section header, 0: none */
    uint64_t notes, memory; /* offsets */
} Layout;

static Layout layout_of(const Dump *d)
{
    uint64_t ehdr = d->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
    uint64_t phdr = d->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    uint64_t shdr = d->wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
    Layout l = {.headers = 1 + d->maps->len};
    uint64_t end = ehdr + l.headers * phdr;
    if (l.headers >= PN_XNUM) {
        l.sections = end;
        end += shdr;
    }
    l.notes = end;
    l.memory = end + d->notes->len;
    return l;
}

#define IDENT(class_) {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, class_, ELFDATA2LSB, EV_CURRENT}

static bool put_header(const Dump *d, const Layout *l, GError **error)
{
    uint16_t machine = d->long_mode ? EM_X86_64 : EM_386;
    uint16_t headers = (uint16_t)MIN(l->headers, PN_XNUM);
    if (d->wide) {
        Elf64_Ehdr h = {.e_ident = IDENT(ELFCLASS64), .e_type = ET_CORE, .e_machine = machine, .e_version = EV_CURRENT,
                        .e_phoff = sizeof(h), .e_ehsize = sizeof(h), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = headers,
                        .e_shoff = l->sections, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = l->sections != 0};
        return dump_put(d->out, &h, sizeof(h), error);
    }
    Elf32_Ehdr h = {.e_ident = IDENT(ELFCLASS32), .e_type = ET_CORE, .e_machine = machine, .e_version = EV_CURRENT,
                    .e_phoff = sizeof(h), .e_ehsize = sizeof(h), .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = headers,
                    .e_shoff = (uint32_t)l->sections, .e_shentsize = sizeof(Elf32_Shdr), .e_shnum = l->sections != 0};
    return dump_put(d->out, &h, sizeof(h), error);
}

static bool put_program_header(const Dump *d, uint32_t type, uint64_t offset, const DumpMap *m, GError **error)
{
    uint32_t flags = type == PT_LOAD ? PF_R | PF_W | PF_X : 0;
    if (d->wide) {
        Elf64_Phdr h = {.p_type = type, .p_flags = flags, .p_offset = offset, .p_vaddr = m->virtual,
                        .p_paddr = m->physical, .p_filesz = m->size, .p_memsz = m->size};
        return dump_put(d->out, &h, sizeof(h), error);
    }
    Elf32_Phdr h = {.p_type = type, .p_flags = flags, .p_offset = (uint32_t)offset, .p_vaddr = (uint32_t)m->virtual,
                    .p_paddr = (uint32_t)m->physical, .p_filesz = (uint32_t)m->size, .p_memsz = (uint32_t)m->size};
    return dump_put(d->out, &h, sizeof(h), error);
}

static bool put_section_header(const Dump *d, const Layout *l, GError **error)
{
    if (d->wide) {
        Elf64_Shdr h = {.sh_size = 1, .sh_info = (uint32_t)l->headers};
        return dump_put(d->out, &h, sizeof(h), error);
    }
    Elf32_Shdr h = {.sh_size = 1, .sh_info = (uint32_t)l->headers};
    return dump_put(d->out, &h, sizeof(h), error);
}

static bool put_memory(const Dump *d, GError **error)
{
    uint8_t buf[16 * DUMP_PAGE];
    for (unsigned i = 0; i < d->ranges->len; i++) {
        const DumpRange *r = &g_array_index(d->ranges, DumpRange, i);
        for (uint64_t done = 0, n; done < r->size; done += n) {
            n = MIN(r->size - done, sizeof(buf));
            dump_read(r->at + done, buf, n);
            if (!dump_put(d->out, buf, n, error)) {
                return false;
            }
            dump_advance(n);
        }
    }
    return true;
}

bool dump_write_elf(Dump *d, GError **error)
{
    Layout l = layout_of(d);
    if (!put_header(d, &l, error) ||
        !put_program_header(d, PT_NOTE, l.notes, &(DumpMap){0, 0, d->notes->len}, error)) {
        return false;
    }
    for (unsigned i = 0; i < d->maps->len; i++) {
        const DumpMap *m = &g_array_index(d->maps, DumpMap, i);
        const DumpRange *r = dump_range_at(d, m->physical);
        if (!put_program_header(d, PT_LOAD, l.memory + r->before + (m->physical - r->at), m, error)) {
            return false;
        }
    }
    return (!l.sections || put_section_header(d, &l, error)) &&
           dump_put(d->out, d->notes->data, d->notes->len, error) && put_memory(d, error);
}
