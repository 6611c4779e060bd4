; Blocks that run often and follow one another, as a translator takes them together: what one of them writes into another,
; whose turn is still to come or is over, counts from the next instruction on (SDM vol 3 §11.6, 8.1.3).
%define LONG
%include "start.inc"

BESIDE  equ 0x50000                     ; stores go here while it gets hot: no code in its page
HOT     equ 40                          ; more often than it takes

        absolute user_vars
        alignb 8
function: resq 1
value:  resd 1

; chain NAME, {STORE}: RDI is where to, EAX, XMM0 and [value] what.
; Blocks 1, 2 and 3 end with a jump that is never taken; all add to EBX.
%macro chain 2
        align 256, nop
%1:     xor ebx, ebx
.one:   add ebx, strict dword 1
        test ecx, ecx
        jz near .out
.two:   add ebx, strict dword 0x10
        %2
.rest:  add ebx, strict dword 0x100
        test ecx, ecx
        jz near .out
.three: add ebx, strict dword 0x1000
        test ecx, ecx
        jz near .out
.four:  add ebx, strict dword 0x10000
        ret
.out:   add ebx, 0x10000000
        ret
%endmacro
%macro two_stores 0
        mov [rDI + 1], ah
        mov [rDI], al
%endmacro
%macro chains 1                         ; code size
        align 4096, nop
        chain by_mov_%1, {mov [rDI], eax}
        chain by_xchg_%1, {xchg [rDI], eax}
        chain by_stos_%1, stosd
        chain by_fist_%1, {fistp dword [rDI]}
        chain by_movd_%1, {movd [rDI], xmm0}
        chain by_two_%1, two_stores
%endmacro
; One run with the store to %1, and what EBX is behind it.
%macro once 2
        mov edi, %1
        call prepare%[__BITS__]
        call [function]
        is rBX, %2
%endmacro
; patched LABEL, VALUE, EBX now, EBX the next time, {store, again, hot}
%macro patched 4
        call heat%[__BITS__]
        mov dword [value], %2
        push WIDE [%1 + 2]
        once %1 + 2, %3
        mov dword [value], 0
        once BESIDE, %4
        pop rAX
        mov [%1 + 2], eax
        once BESIDE, 0x11111
%endmacro
%macro try 1
        topic %str(%1)
        mov dword [function], %1
%rep 2                                  ; and once more when all of it is made anew
        patched %1.rest, 0x200, 0x11211, 0x11211
        patched %1.three, 0x2000, 0x12111, 0x12111
        patched %1.four, 0x14000, 0x15111, 0x15111
        patched %1.one, 3, 0x11111, 0x11113
        patched %1.two, 0x30, 0x11111, 0x11131
%endrep
%endmacro
%macro functions 1
        try by_mov_%1
        try by_xchg_%1
        try by_stos_%1
        try by_fist_%1
        try by_movd_%1
        try by_two_%1
%endmacro
%macro helpers 1
prepare%1: mov eax, [value]
        movd xmm0, eax
        fninit
        fild dword [value]
        mov ecx, 1
        ret
heat%1: mov dword [value], 0
        mov esi, HOT
.next:  mov edi, BESIDE
        call prepare%1
        call [function]
        dec esi
        jnz .next
        ret
%endmacro

        section .text
        bits 32
%define rDI edi
%define rBX ebx
main:
        mov eax, cr4
        or eax, 0x200                   ; OSFXSR
        mov cr4, eax
        functions 32
        call enter_long
        bits 64
%define rDI rdi
%define rBX rbx
        functions 64
        finish

        helpers 64
        chains 64
        bits 32
%define rDI edi
        helpers 32
        chains 32
%include "end.inc"
