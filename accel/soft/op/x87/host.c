/* Lending the host's x87 to the guest. */
#include "accel/soft/op/x87/x87.h"

/* Every register form of D8 to DF, and every memory form with [RDI], four bytes each.  They are only called
 * for encodings that the decoder knows. */
__asm__(".pushsection .text\n"
        ".hidden x87_stubs, x87_memory_stubs\n"
        ".globl x87_stubs, x87_memory_stubs\n"
        ".balign 64\n"
        "x87_stubs:\n"
        ".irp op, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf\n"
        ".irp high, 0xc0, 0xc8, 0xd0, 0xd8, 0xe0, 0xe8, 0xf0, 0xf8\n"
        ".irp low, 0, 1, 2, 3, 4, 5, 6, 7\n"
        ".byte \\op, \\high + \\low, 0xc3, 0xcc\n"
        ".endr\n"
        ".endr\n"
        ".endr\n"
        "x87_memory_stubs:\n"
        ".irp op, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf\n"
        ".irp reg, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f\n"
        ".byte \\op, \\reg, 0xc3, 0xcc\n"
        ".endr\n"
        ".endr\n"
        ".popsection\n");

/* X87HostFn, arguments as the System V ABI passes them: mem RDI, a RSI, stub RDX, b RCX, result R8.  In
 * assembler as a whole, so that the stack of the x87 is empty wherever C code runs and CALL meets no red
 * zone. */
#define HOST_FN(name, before, after)                                                                       \
    __asm__(".pushsection .text\n"                                                                         \
            ".hidden " name "\n.globl " name "\n.type " name ", @function\n"                               \
            ".balign 16\n" name ":\n" before "call *%rdx\nfnstsw %ax\n" after "movzwl %ax, %eax\n"         \
            "ret\n.size " name ", . - " name "\n.popsection\n")
HOST_FN("x87_host_0_1", "", "fstpt (%r8)\n");
HOST_FN("x87_host_1_0", "fldt (%rsi)\n", "fstp %st(0)\n");
HOST_FN("x87_host_1_0_pop", "fldt (%rsi)\n", "");
HOST_FN("x87_host_1_1", "fldt (%rsi)\n", "fstpt (%r8)\n");
HOST_FN("x87_host_1_2", "fldt (%rsi)\n", "fstpt (%r8)\nfstpt 16(%r8)\n");
HOST_FN("x87_host_1_2_partial", "fldt (%rsi)\n",
        "fstpt (%r8)\ntestl $0x400, %eax\njnz 1f\nfstpt 16(%r8)\n1:\n");
HOST_FN("x87_host_2_0", "fldt (%rcx)\nfldt (%rsi)\n", "fstp %st(0)\nfstp %st(0)\n");
HOST_FN("x87_host_2_1", "fldt (%rcx)\nfldt (%rsi)\n", "fstpt (%r8)\nfstp %st(0)\n");
HOST_FN("x87_host_2_1_pop", "fldt (%rcx)\nfldt (%rsi)\n", "fstpt (%r8)\n");

/* What FRSTOR and FNSAVE transfer: 32-bit protected-mode format (SDM vol 1 figure 8-9), registers from
 * ST(0). */
typedef struct __attribute__((packed)) X87Image {
    uint32_t control, status, tags, ip, selector_opcode, data, data_selector;
    struct __attribute__((packed)) {
        uint64_t mantissa;
        uint16_t sign_exponent;
    } st[8];
} X87Image;
_Static_assert(sizeof(X87Image) == 108, "FSAVE");

/* Runs the stub on *image and stores what became of it.  AX has the flags before, as LAHF leaves them
 * (FCMOV reads them), and returns those behind (FCOMI sets them).  FNSAVE also initialises the host's unit
 * again. */
unsigned x87_host_whole(void *mem, X87Image *image, const X87Stub *stub, unsigned flags);
__asm__(".pushsection .text\n"
        ".hidden x87_host_whole\n.globl x87_host_whole\n.type x87_host_whole, @function\n"
        ".balign 16\n"
        "x87_host_whole:\n"
        "movl %ecx, %eax\n"
        "fnclex\n"
        "frstor (%rsi)\n"
        "sahf\n"
        "call *%rdx\n"
        "lahf\n"
        "fnsave (%rsi)\n"
        "movzwl %ax, %eax\n"
        "ret\n"
        ".size x87_host_whole, . - x87_host_whole\n"
        ".popsection\n");

static bool is_fcomi(const Insn *i) /* DB and DF, E8 to F7 */
{
    return (i->opcode & 0xfb) == 0xdb && i->modrm >= 0xe8 && i->modrm < 0xf8;
}

bool x87_whole_run(SoftCpu *s, const Insn *i, void *mem, X87Whole *after)
{
    const Xsave *x = x87_state(s);
    X87Image image = {.control = x->fcw, .status = x->fsw & (FSW_TOP | FSW_CONDITION)};
    for (unsigned n = 0; n < 8; n++) {
        image.tags |= x->ftw >> n & 1 ? 0 : 3u << 2 * n;
        image.st[n].mantissa = x->st[n].mantissa;
        image.st[n].sign_exponent = x->st[n].sign_exponent;
    }
    unsigned flags = x87_host_whole(mem, &image, x87_stub(i->opcode, i->modrm), s->cc);
    unsigned raised = image.status & ~x->fcw & FSW_EXCEPTIONS;
    after->cc = is_fcomi(i) && !(raised & FSW_IE) ? flags & 0xd500 /* OF becomes 0 */ : s->cc;
    after->fsw = (image.status & (FSW_TOP | FSW_CONDITION | FSW_STICKY)) | (x->fsw & FSW_STICKY);
    if (is_fcomi(i) && !(image.status & FSW_SF)) {
        after->fsw &= (uint16_t)~FSW_C1; /* the SDM's rule; AMD processors leave C1 */
    }
    after->ftw = fpu_abridge_tags((uint16_t)image.tags);
    for (unsigned n = 0; n < 8; n++) {
        after->st[n].mantissa = image.st[n].mantissa;
        after->st[n].sign_exponent = image.st[n].sign_exponent;
    }
    return !(raised & ~FSW_PE);
}

void x87_whole_commit(SoftCpu *s, const X87Whole *after)
{
    Xsave *x = x87_state(s);
    s->cc = after->cc;
    x->fsw = after->fsw;
    x87_summarise(x);
    x->ftw = after->ftw;
    for (unsigned n = 0; n < 8; n++) {
        x->st[n].mantissa = after->st[n].mantissa;
        x->st[n].sign_exponent = after->st[n].sign_exponent;
    }
}

void x87_whole(SoftCpu *s, const Insn *i, void *mem)
{
    X87Whole after;
    x87_whole_run(s, i, mem, &after);
    x87_whole_commit(s, &after);
}
