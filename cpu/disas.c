#include "cpu/disas.h"

#include <Zydis/Zydis.h>
#include <inttypes.h>

#include "cpu/paging.h"

static bool decoder_for(unsigned code_size, ZydisDecoder *d)
{
    switch (code_size) {
    case 16:
        return ZYAN_SUCCESS(
            ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16));
    case 32:
        return ZYAN_SUCCESS(
            ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32));
    default:
        return ZYAN_SUCCESS(ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64));
    }
}

unsigned disas_one(const uint8_t *code, size_t len, unsigned code_size, uint64_t ip,
                   GString *out)
{
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    char text[256];
    if (!decoder_for(code_size, &decoder) ||
        !ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT)) ||
        !ZYAN_SUCCESS(ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE)) ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &insn, operands)) ||
        !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &insn, operands,
                                                      insn.operand_count_visible, text,
                                                      sizeof(text), ip, NULL))) {
        g_string_append(out, "(bad)");
        return 0;
    }
    g_string_append(out, text);
    return insn.length;
}

/* As many of 15 bytes as can be read. */
static size_t fetch(const Cpu *c, uint64_t at, bool physical, uint8_t *code)
{
    size_t n = 0;
    while (n < DISAS_MAX_LENGTH && (physical ? space_peek(c->memory, at + n, code + n, 1)
                                             : cpu_memory_debug(c, at + n, code + n, 1, false))) {
        n++;
    }
    return n;
}

uint64_t disas_print(const Cpu *c, uint64_t at, bool physical, unsigned count, GString *out)
{
    unsigned mode = cpu_code_size(&c->state);
    while (count--) {
        uint8_t code[DISAS_MAX_LENGTH];
        g_autoptr(GString) text = g_string_new(NULL);
        size_t n = fetch(c, at, physical, code);
        g_string_append_printf(out, "0x%0*" PRIx64 ":  ", mode == 64 ? 16 : 8, at);
        if (n == 0) {
            g_string_append(out, "Cannot access memory\n");
            break;
        }
        unsigned len = disas_one(code, n, mode, at, text);
        len = len ? len : 1;
        for (unsigned i = 0; i < len; i++) {
            g_string_append_printf(out, "%02x ", code[i]);
        }
        g_string_append_printf(out, "%*s%s\n", len < 8 ? (int)(3 * (8 - len)) + 1 : 1, "",
                               text->str);
        at += len;
    }
    return at;
}
