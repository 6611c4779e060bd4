; Hot code whose memory operands are found in no table (a device's registers): flags, conditions and registers are as with plain
; memory; division at its edges; interrupts, steps and breakpoints in the middle of loops, with flags exact.
%define LONG
%include "start.inc"
%include "interrupt.inc"

TPR     equ APIC + 0x80                 ; a register of eight bits that keeps what it is told
HOT     equ 40
ARITH   equ 0x8d5

        absolute user_vars
        alignb 8
plain:  resq 2                          ; the same in memory
result: resq 8
left:   resq 1
irqs:   resq 1
wrong:  resq 1
seen_flags: resq 1

        section .text
        bits 32
main:
        call interrupts_init
        call apic_on
        mov eax, cr4
        or eax, 0x600
        mov cr4, eax
        call enter_long
        bits 64

        topic "flags behind operands that miss"
; both VALUE, {INSTRUCTIONS ON [RDI]}: RAX, RCX, RDX and flags are the same behind both; flags come in set and clear
%define both both_ __LINE__,
%macro both_ 3+
        mov qword [left], HOT * 2
        jmp %%next
        align 16, nop
%%run:  mov dword [rdi], %2
        mov eax, 0x12345678
        mov ecx, 3
        mov edx, 0x9abcdef0
        push r8
        popfq
        %3
        pushfq
        pop r9
        mov esi, [rdi]
        ret
%%next: mov r8d, 2
        test byte [left], 1
        jz %%clear
        mov r8d, 2 | ARITH
%%clear: mov edi, plain
        call %%run
        mov [result], rax
        mov [result + 8], rcx
        mov [result + 16], rdx
        mov [result + 24], r9
        mov [result + 32], rsi
        mov edi, TPR
        call %%run
        cmp [result], rax
        jne %%not
        cmp [result + 8], rcx
        jne %%not
        cmp [result + 16], rdx
        jne %%not
        cmp [result + 24], r9
        jne %%not
        cmp [result + 32], esi
        jne %%not
        dec qword [left]
        jnz %%next
%%not:  is_ %1, [left], 0
%endmacro
        both 0x20, cmp [rdi], eax
%macro case1 0
        cmp eax, [rdi]
        adc ecx, 0
        sbb edx, edx
%endmacro
        both 0x20, case1
%macro case2 0
        cmp dword [rdi], 0x20
        setz al
        setl cl
        setnp dl
%endmacro
        both 0x20, case2
%macro case3 0
        cmp dword [rdi], 0x21
        cmovb eax, edx
        cmovo ecx, edx
        inc edx
%endmacro
        both 0x20, case3
%macro case4 0
        adc eax, [rdi]
        inc ecx
        adc edx, [rdi]
%endmacro
        both 0x20, case4
%macro case5 0
        sbb eax, [rdi]
        cmovc eax, [rdi]
        cmovnc ecx, [rdi]
%endmacro
        both 0x20, case5
%macro case6 0
        add eax, eax
        cmovz ecx, [rdi]
        cmovnz edx, [rdi]
%endmacro
        both 0x20, case6
        both 0x20, {adc dword [rdi], 3}
%macro case7 0
        sub ecx, 4
        sbb dword [rdi], 3
        rcr eax, 1
%endmacro
        both 0x20, case7
%macro case8 0
        rcl dword [rdi], 1
        adc eax, eax
%endmacro
        both 0x21, case8
%macro case9 0
        clc
        rcr dword [rdi], 1
        rcl eax, 1
%endmacro
        both 0x21, case9
%macro case10 0
        rol dword [rdi], cl
        cmovc eax, edx
%endmacro
        both 0x11, case10
%macro case11 0
        shl dword [rdi], cl
        cmovs eax, edx
%endmacro
        both 0x11, case11
%macro case12 0
        mov ecx, 0
        cmp eax, edx
        shl dword [rdi], cl
        cmovs eax, edx
%endmacro
        both 0x21, case12
%macro case13 0
        mov ecx, 32
        stc
        sar dword [rdi], cl
        adc eax, 0
%endmacro
        both 0x21, case13
%macro case14 0
        stc
        inc dword [rdi]
        adc eax, 0
%endmacro
        both 0x21, case14
%macro case15 0
        cmp eax, edx
        dec dword [rdi]
        setc cl
        setnz dl
%endmacro
        both 0x21, case15
%macro case16 0
        neg ecx
        not dword [rdi]
        and dword [rdi], 0x7f
        setc cl
%endmacro
        both 0x21, case16
%macro case17 0
        cmp eax, edx
        not dword [rdi]
        and byte [rdi], 0x7f
        mov dword [rdi], 0x11
        setc cl
%endmacro
        both 0x21, case17
%macro case18 0
        cmp eax, edx
        bt dword [rdi], 5
        setc cl
        setz dl
%endmacro
        both 0x21, case18
%macro case19 0
        bts dword [rdi], 3
        adc eax, 0
        btr dword [rdi], 0
        adc ecx, 0
        btc dword [rdi], 7
        adc edx, 0
%endmacro
        both 0x21, case19
%macro case20 0
        bt [rdi], ecx
        adc eax, 0
%endmacro
        both 0x21, case20
%macro case21 0
        xadd [rdi], ecx
        cmovz eax, edx
%endmacro
        both 0x21, case21
%macro case22 0
        stc
        xchg [rdi], ecx
        adc eax, 0
%endmacro
        both 0x21, case22
%macro case23 0
        mov eax, 0x21
        cmpxchg [rdi], ecx
        setz dl
%endmacro
        both 0x21, case23
%macro case24 0
        mov eax, 0x22
        cmpxchg [rdi], ecx
        setz dl
%endmacro
        both 0x21, case24
%macro case25 0
        lock add dword [rdi], 5
        setnp al
%endmacro
        both 0x21, case25
%macro case26 0
        imul eax, [rdi]
        setc cl                         ; the others are undefined
        test ecx, eax
%endmacro
        both 0x21, case26
%macro case27 0
        imul ecx, [rdi], 7
        setc al
        test ecx, eax
%endmacro
        both 0x21, case27
%macro case28 0
        mul dword [rdi]
        setc cl
        test ecx, eax
%endmacro
        both 0x21, case28
%macro case29 0
        mov edx, 0
        div dword [rdi]
%endmacro
        both 0x21, case29
%macro case30 0
        bsf ecx, [rdi]
        setz al
        bsr edx, [rdi]
%endmacro
        both 0x21, case30
%macro case31 0
        bsf ecx, [rdi]
        setz al
%endmacro
        both 0, case31
%macro case32 0
        popcnt eax, [rdi]
        tzcnt ecx, [rdi]
        setc dl
%endmacro
        both 0x21, case32
%macro case33 0
        shld [rdi], ecx, 3
        setc al
        and dword [rdi], 0x7f
%endmacro
        both 0x21, case33
%macro case34 0
        test dword [rdi], 0x20
        setz cl
        lahf
%endmacro
        both 0x21, case34
%macro case35 0
        cmp [rdi], ecx      ; a jump between, not taken and taken, with flags behind it
        jb %%away
        ja %%away2
%%away: inc eax
%%away2: lahf
        setc cl
%endmacro
        both 0x21, case35
%macro case36 0
        movsxd rax, [rdi]
        movd xmm0, [rdi]
        movd ecx, xmm0
%endmacro
        both 0x21, case36

        topic "division at its edges"
; divides WIDTH, INSTRUCTION, HIGH, LOW, DIVISOR, {quotient, remainder} or nothing: #DE
%macro divides 5-7
        mov qword [left], HOT
%%heat: mov eax, 100
        mov edx, 0
        mov ecx, 7
        mov [plain], rcx
        call %%register
        call %%memory
        dec qword [left]
        jnz %%heat
        mov rax, %5
        mov [plain], rax
        mov rcx, rax
        mov rdx, %3
        mov rax, %4
        mov [result], rax
        mov [result + 8], rdx
%if %0 == 5
        expect %%fault
        call %%register
%%fault: mov [result + 16], rax
        caught DE, NO_ERROR, %%register
        is rdx, [result + 8]
        mov rax, [result]
        is [result + 16], rax
        expect %%fault2
        call %%memory
%%fault2: mov [result + 16], rax
        caught DE, NO_ERROR, %%memory
        is rdx, [result + 8]
        mov rax, [result]
        is [result + 16], rax
%else
        call %%register
        mov [result + 16], rax
        mov [result + 24], rdx
        mov rax, %6
        is [result + 16], rax
        mov rax, %7
        is [result + 24], rax
        mov rax, [result]
        mov rdx, [result + 8]
        call %%memory
        mov [result + 16], rax
        mov [result + 24], rdx
        mov rax, %6
        is [result + 16], rax
        mov rax, %7
        is [result + 24], rax
%endif
        jmp %%done
        align 16, nop
%if %1 == 4
%%register: %2 ecx
        ret
%%memory: %2 dword [plain]
        ret
%else
%%register: %2 rcx
        ret
%%memory: %2 qword [plain]
        ret
%endif
%%done:
%endmacro
        divides 4, div, 0, 5, 0
        divides 4, div, 7, 5, 7
        divides 4, div, 6, 0xffffffff, 7, 0xffffffff, 6
        divides 4, div, 8, 5, 7
        divides 4, div, 0xffffffff, 0xffffffff, 0xffffffff
        divides 4, div, 0xfffffffe, 0xffffffff, 0xffffffff, 0xffffffff, 0xfffffffe
        divides 4, idiv, 0xffffffff, 0x80000000, 0xffffffff
        divides 4, idiv, 0xffffffff, 0x80000000, 1, 0x80000000, 0
        divides 4, idiv, 0, 0x80000000, 0xffffffff, 0x80000000, 0
        divides 4, idiv, 0, 0x80000000, 1
        divides 4, idiv, 0, 5, 0
        divides 4, idiv, 0xffffffff, 0xfffffff9, 2, 0xfffffffd, 0xffffffff
        divides 4, idiv, 0xffffffff, 0x7fffffff, 0xffffffff
        divides 4, idiv, 0xffffffff, 0x7fffffff, 2, 0xc0000000, 0xffffffff
        divides 4, idiv, 1, 0, 2
        divides 4, idiv, 0, 0xfffffffe, 2, 0x7fffffff, 0
        divides 4, idiv, 0xaaaa0000ffffffff, 0xbbbb000080000000, 0xcccc000000000002, 0xc0000000, 0
        divides 8, div, 0, 5, 0
        divides 8, div, 7, 5, 7
        divides 8, div, 6, -1, 7, -1, 6
        divides 8, idiv, -1, 0x8000000000000000, -1
        divides 8, idiv, -1, 0x8000000000000000, 1, 0x8000000000000000, 0
        divides 8, idiv, 0, 0x8000000000000000, -1, 0x8000000000000000, 0
        divides 8, idiv, 0, 0x8000000000000000, 1
        divides 8, idiv, -1, -7, 2, -3, -1
        divides 8, idiv, -1, 0x7fffffffffffffff, 2, 0xc000000000000000, -1
        divides 8, idiv, 0, 9, 0

%include "hot-events.inc"
        finish
%include "end.inc"
