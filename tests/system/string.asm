; String instructions: REP stopped by a fault in the middle leaves registers that go on from there;
; direction, address and operand sizes, overlap, segment overrides, ports (SDM vol 2 at REP, MOVS,
; CMPS ...).
%define LONG
%include "start.inc"

TABLES  equ 0x50000
A       equ 0x60000                     ; a page, a hole, a page, a read-only page
HOLE    equ A + 0x1000
B       equ A + 0x2000
RO      equ A + 0x3000
LIMITED equ SEL_FREE
SEG_A   equ SEL_FREE + 8
BIG     equ 4

        absolute user_vars
value:  resd 8
count:  resd 1

        section .text
        bits 32
main:
        call paging_on

        topic "REP MOVS into a hole"
        cld
        mov esi, B
        mov edi, HOLE - 12
        mov ecx, 10
        fault PF, 2, {rep movsd}
        is ecx, 7
        is esi, B + 12
        is edi, HOLE
        is [exc_cr2], HOLE
        mov eax, [exc_flags]
        and eax, 0x10000
        is eax, 0x10000                 ; RF
        mov esi, HOLE - 6
        mov edi, B
        mov ecx, 4
        fault PF, 0, {rep movsw}
        is ecx, 1
        is esi, HOLE
        is edi, B + 6
        mov esi, HOLE - 6
        mov edi, B
        mov ecx, 2
        fault PF, 0, {rep movsd}        ; the second one crosses
        is ecx, 1
        is esi, HOLE - 2
        is [exc_cr2], HOLE

        topic "downwards"
        std
        mov esi, B + 8
        mov edi, B + 0x100
        mov ecx, 20
        fault PF, 0, {rep movsb}
        is ecx, 11
        is esi, HOLE + 0xfff
        is edi, B + 0xf7
        mov eax, [exc_flags]
        and eax, 0x400
        is eax, 0x400
        std
        mov edi, B + 8
        mov ecx, 4
        mov eax, 0x5a5a5a5a
        fault PF, 2, {rep stosd}
        is ecx, 1
        is edi, HOLE + 0xffc
        is [B], 0x5a5a5a5a
        is [B + 8], 0x5a5a5a5a
        cld

        topic "REP STOS, LODS, SCAS, CMPS into a hole"
        mov edi, RO - 8
        mov ecx, 5
        mov eax, cr0
        or eax, 0x10000
        mov cr0, eax
        mov eax, 0x99999999
        fault PF, 3, {rep stosd}
        is ecx, 3
        is edi, RO
        mov eax, cr0
        and eax, ~0x10000
        mov cr0, eax
        mov esi, HOLE - 2
        mov ecx, 5
        fault PF, 0, {rep lodsb}
        is ecx, 3
        is esi, HOLE
        mov edi, HOLE - 4
        mov dword [HOLE - 4], 0x11111111
        mov ecx, 100
        mov al, 0x11
        fault PF, 0, {repe scasb}
        is ecx, 96
        is edi, HOLE
        mov esi, B
        mov edi, HOLE - 4
        mov dword [B], 0x11111111
        mov ecx, 100
        fault PF, 0, {repe cmpsb}
        is ecx, 96
        is esi, B + 4
        is edi, HOLE
        mov ecx, 0
        mov edi, HOLE
        mov esi, HOLE
        rep movsb                       ; nothing to do, nothing to fault
        repe cmpsb
        repne scasb
        rep stosd
        rep lodsd
        is edi, HOLE

        topic "going on after the fault"
        mov word [IDT32 + 8 * PF], fill_hole
        mov dword [count], 0
        mov esi, B
        mov edi, HOLE - 8
        mov ecx, 0x100
        rep movsb
        is ecx, 0
        is [count], 1
        is edi, HOLE + 0xf8
        and dword [TABLES + 0x1000 + (HOLE >> 12) * 4], ~1
        invlpg [HOLE]
        call idt32_init

        topic "flags and counts of comparisons"
        mov dword [A], 0x44332211
        mov dword [A + 4], 0x88776655
        mov dword [B], 0x44332211
        mov dword [B + 4], 0x88996655
        mov esi, A
        mov edi, B
        mov ecx, 8
        repe cmpsb
        setb al
        movzx eax, al
        is eax, 1                       ; 77h is below 99h
        is ecx, 1
        is esi, A + 7
        mov edi, A
        mov ecx, 8
        mov al, 0x55
        repne scasb
        setz al
        movzx eax, al
        is eax, 1
        is ecx, 3
        mov edi, A
        mov ecx, 8
        mov al, 0xee
        repne scasb
        is ecx, 0
        setz al
        movzx eax, al
        is eax, 0
        xor eax, eax
        inc eax                         ; ZF clear
        mov ecx, 0
        repe cmpsb
        setz al
        movzx eax, al
        is eax, 0                       ; flags stay when nothing is compared

        topic "overlap"
        mov dword [A], 0x04030201
        mov dword [A + 4], 0x08070605
        mov esi, A
        mov edi, A + 1
        mov ecx, 7
        rep movsb                       ; spreads the first byte
        is [A], 0x01010101
        is [A + 4], 0x01010101
        mov dword [A], 0x04030201
        mov dword [A + 4], 0x08070605
        mov esi, A
        mov edi, A + 2
        mov ecx, 3
        rep movsw
        is [A + 4], 0x02010201
        mov dword [A], 0x04030201
        mov dword [A + 4], 0x08070605
        std
        mov esi, A + 3
        mov edi, A + 5
        mov ecx, 4
        rep movsb
        cld
        is [A + 2], 0x04030201
        mov dword [A], 0x04030201
        mov dword [A + 4], 0
        mov esi, A
        mov edi, A + 3
        mov ecx, 1
        rep movsd                       ; one of them is read before it is written
        is [A + 3], 0x04030201

        topic "16-bit addresses"
        mov edi, 0x5678fffe
        mov ecx, 0xabcd0004
        a16 rep stosb                   ; DI wraps, the upper halves stay
        is edi, 0x56780002
        is ecx, 0xabcd0000
        mov ecx, 0x10000
        a16 rep stosb
        is ecx, 0x10000                 ; CX is 0
        mov ecx, 0x10003
        xor eax, eax
.loop16: inc eax
        a16 loop .loop16
        is eax, 3
        is ecx, 0x10000

        topic "segments"
        descriptor SEG_A, A, 0xfff, 0x92, BIG
        descriptor LIMITED, A, 9, 0x92, BIG
        mov eax, SEG_A
        mov fs, eax
        mov dword [A + 0x20], 0x600df00d
        mov esi, 0x20
        fs lodsd
        is eax, 0x600df00d
        mov esi, 0x20
        mov edi, B
        fs movsd
        is [B], 0x600df00d
        mov eax, LIMITED
        mov es, eax
        mov edi, 0
        mov ecx, 20
        xor eax, eax
        fault GP, 0, {rep stosd}
        is ecx, 18
        is edi, 8
        mov eax, LIMITED
        mov es, eax
        mov edi, 0
        mov esi, A
        fault GP, 0, {fs movsd}         ; ESI is beyond FS
        mov eax, LIMITED
        mov es, eax
        mov edi, 8
        mov esi, A
        fault GP, 0, {movsd}            ; ES has no override
        is esi, A

        topic "XLAT, and steps of two and four"
        mov dword [A], 0x44332211
        mov ebx, A
        mov al, 2
        xlatb
        movzx eax, al
        is eax, 0x33
        mov esi, A
        lodsw
        is esi, A + 2
        lodsd
        is esi, A + 6
        std
        lodsb
        is esi, A + 5
        stosw
        cld

        topic "ports"
        mov dx, 0x80
        mov esi, A
        mov ecx, 4
        rep outsb
        is esi, A + 4
        is ecx, 0
        mov esi, HOLE - 2
        mov ecx, 4
        fault PF, 0, {rep outsb}
        is ecx, 2
        is esi, HOLE
        mov edi, HOLE - 2
        mov ecx, 4
        mov dx, 0xe9
        fault PF, 2, {rep insb}
        is ecx, 2
        is edi, HOLE
        movzx eax, word [HOLE - 2]
        is eax, 0xe9e9
        call paging_off

        has 0x80000001, 0, edx, 29
        jnz .long
        left_out "long mode"
        finish
.long:  topic "long mode"
        call enter_long
        bits 64
        mov rdi, 0x1000000000 - 0x1000
        mov rbx, rdi
        mov rcx, 8
        mov rax, 0x1122334455667788
        fault PF, 2, {rep stosq}
        is rcx, 8
        is rdi, rbx
        mov edi, A
        mov ecx, 3
        rep stosq
        is rdi, A + 24
        is [A + 16], rax
        mov rsi, 0x500000000 | A        ; with 67h only ESI, EDI, ECX count ... and the rest is cleared
        mov rdi, 0x600000000 | B
        mov rcx, 0x700000002
        a32 rep movsq
        is rcx, 0
        is rsi, A + 16
        is rdi, B + 16
        is [B + 8], rax
        std
        mov esi, A + 16
        mov edi, B + 16
        mov ecx, 3
        rep movsq
        cld
        is rdi, B - 8
        is [B + 16], rax
        mov rsi, 0x0000800000000000
        mov rbx, rsi
        mov ecx, 5
        fault GP, 0, {rep lodsb}
        is rcx, 5
        is rsi, rbx
        mov rsi, -4                     ; across the end of the address space
        mov ecx, 8
        fault PF, 0, {rep lodsb}
        is rcx, 8
        call leave_long
        bits 32
        finish

; A handler that maps the hole and lets the instruction go on
fill_hole:
        inc dword [count]
        or dword [TABLES + 0x1000 + (HOLE >> 12) * 4], 1
        add esp, 4
        iretd

paging_on:
        mov dword [TABLES], (TABLES + 0x1000) | 7
        xor ecx, ecx
.next:  mov eax, ecx
        shl eax, 12
        or eax, 7
        mov [TABLES + 0x1000 + ecx * 4], eax
        inc ecx
        cmp ecx, 1024
        jb .next
        and dword [TABLES + 0x1000 + (HOLE >> 12) * 4], ~1
        and dword [TABLES + 0x1000 + (RO >> 12) * 4], ~2
        mov eax, TABLES
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        ret
paging_off:
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        ret
%include "end.inc"
