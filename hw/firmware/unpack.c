/* What the guest's own decompressor would do, at the host's speed (Documentation/x86/boot.rst: payload_offset and
 * payload_length, from protocol 2.08 on).  The payload ends with the unpacked size, as gzip's files do by themselves. */
#include "hw/firmware/unpack.h"

#include "config.h"

#include <elf.h>
#include <string.h>
#include <zlib.h>
#ifdef CONFIG_LZMA
#include <lzma.h>
#endif

enum { SETUP_SECTS = 0x1f1, VERSION = 0x206, PAYLOAD_OFFSET = 0x248, PAYLOAD_LENGTH = 0x24c, HEADER_END = 0x250, SECTOR = 512 };

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static bool gunzip(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
    enum { GZIP_HEADER = 16 + MAX_WBITS };
    z_stream z = {.next_in = (uint8_t *)in, .avail_in = (uInt)len, .next_out = out, .avail_out = (uInt)size};
    if (inflateInit2(&z, GZIP_HEADER) != Z_OK) {
        return false;
    }
    int result = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return result == Z_STREAM_END && z.total_out == size;
}

static bool unxz(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
#ifdef CONFIG_LZMA
    uint64_t memory = UINT64_C(256) << 20; /* a dictionary is 32 MiB */
    size_t from = 0, to = 0;
    return lzma_stream_buffer_decode(&memory, 0, NULL, in, &from, len, out, &to, size) == LZMA_OK && to == size;
#else
    return false;
#endif
}

GBytes *kernel_unpack(const uint8_t *image, size_t len, uint64_t most)
{
    static const uint8_t gzip[] = {0x1f, 0x8b}, xz[] = {0xfd, '7', 'z', 'X', 'Z', 0};
    if (len < HEADER_END || (image[VERSION] | image[VERSION + 1] << 8) < 0x208) {
        return NULL;
    }
    uint64_t start = ((image[SETUP_SECTS] ? image[SETUP_SECTS] : 4) + 1) * SECTOR + (uint64_t)get32(image + PAYLOAD_OFFSET);
    uint32_t packed = get32(image + PAYLOAD_LENGTH);
    if (start + packed > len || packed < sizeof xz + sizeof(uint32_t)) {
        return NULL;
    }
    const uint8_t *in = image + start;
    uint32_t size = get32(in + packed - sizeof(uint32_t));
    if (size < sizeof(Elf64_Ehdr) || size > most) {
        return NULL;
    }
    g_autofree uint8_t *out = g_try_malloc(size);
    bool done = out && (!memcmp(in, gzip, sizeof gzip) ? gunzip(in, packed, out, size)
                        : !memcmp(in, xz, sizeof xz)   ? unxz(in, packed - sizeof(uint32_t), out, size)
                                                       : false);
    return done && !memcmp(out, ELFMAG, SELFMAG) ? g_bytes_new_take(g_steal_pointer(&out), size) : NULL;
}
