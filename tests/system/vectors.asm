; Vector registers in hot code, where a translator has them elsewhere meanwhile: at misses, faults, interrupts, jumps out of
; the middle, FXSAVE and XSAVE; upper halves of YMM; MXCSR (SDM vol 1 chapters 10, 13 and 14).
%define LONG
%include "start.inc"
%include "interrupt.inc"

PD1     equ PDS + 0x1000                ; of the second GiB
PT      equ 0x40000
PAGES   equ 0x40000000                  ; one page, and nothing behind it
FRAME   equ 0x300000
EDGE    equ PAGES + 0x1000
GOOD    equ PAGES + 0x800
IMAGE   equ 0x50000
IMAGE2  equ 0x51000
ZEROS   equ 0x52000                     ; an XSAVE image of nothing but beginnings
HEADER  equ 512
HOT     equ 40

        absolute user_vars
        alignb 32
got:    resb 16 * 32
left:   resq 1
ticks:  resq 1
mxcsr:  resd 1

        section .text
        bits 32
; lanes REGISTER, LOW, HIGH: of each half the first 64 bits
%macro lanes 3
        vmovups [got], ymm%1
        mov eax, [got]
        is rax, %2
        mov eax, [got + 16]
        is rax, %3
%endmacro
%macro hot 1
        mov qword [left], HOT
%%next: call %1
        dec qword [left]
        jnz %%next
%endmacro
; Every dword of a register
%macro all_dwords 2                     ; register, number
        mov eax, %2
        vmovd xmm%1, eax
        vpbroadcastd ymm%1, xmm%1
%endmacro

main:
        need 7, 0, ebx, 5, "AVX2"
        mov eax, cr4
        or eax, 0x40600                 ; OSXSAVE, OSXMMEXCPT, OSFXSR
        mov cr4, eax
        mov eax, 7
        xor edx, edx
        xor ecx, ecx
        xsetbv
        call interrupts_init
        call apic_on
        call enter_long
        bits 64
        mov qword [PD1], PT | 7
        mov qword [PT], FRAME | 7
        mov rax, cr3
        mov cr3, rax
        mov byte [IDT64 + 16 * PF + 4], 1

        topic "a fault in the middle"
        mov ebx, GOOD
        hot summing
        mov dword [PAGES + 0xff0], 0x1000
        mov dword [PAGES + 0xfe0], 0x2000
        mov ebx, EDGE - 0x30
        expect .fault
        call summing
.fault: caught PF, 0, summing.at
        is [exc_cr2], EDGE
        lanes 0, 0x2003, 0x1002
        lanes 1, 0x2004, 0
        lanes 2, 5, 5
        lanes 3, 0x2005, 2
        lanes 4, 7, 7

        topic "what is not aligned"
        mov ebx, GOOD
        hot aligned
        mov ebx, GOOD + 4
        mov dword [GOOD + 4], 0x44
        expect .odd
        call aligned
.odd:   caught GP, 0, aligned.at
        lanes 0, 0x45, 9
        lanes 1, 3, 9
        mov ebx, GOOD + 8
        expect .odd2
        call aligned_wide
.odd2:  caught GP, 0, aligned_wide.at
        mov ebx, GOOD
        hot aligned_wide
        mov ebx, GOOD + 16
        mov dword [GOOD + 16], 0x55
        expect .odd3
        call aligned_wide
.odd3:  caught GP, 0, aligned_wide.at
        lanes 0, 0x56, 1
        lanes 1, 3, 9

        topic "a device in the middle"
        mov ecx, APIC + 0x80
        hot device
        lanes 0, 0x11, 0x10
        lanes 1, 0x30, 0
        lanes 2, 0x41, 0x20
        lanes 3, 0x30, 0x30

        topic "a jump out of the middle"
        mov ecx, 0
        hot aside
        lanes 0, 8, 8
        lanes 1, 14, 0
        mov ecx, 1
        call aside
        lanes 0, 6, 6
        lanes 1, 4, 4
        mov ecx, 2
        call aside
        lanes 0, 8, 8
        lanes 1, 9, 9
        mov ecx, 0
        call aside
        lanes 0, 8, 8
        lanes 1, 14, 0

        topic "flags of comparisons and jumps on them"
        mov ecx, 0
        hot compares
        is rcx, 7 * HOT

        topic "interrupts that use the same registers"
        gate64 IDT64, 0x50, CODE64, tick, 0x8e
        mov ecx, APIC
        mov dword [rcx + 0x3e0], 0xb
        mov dword [rcx + 0x320], 0x20050
        mov dword [rcx + 0x380], 20000
        mov qword [ticks], 0
        all_dwords 0, 0
        all_dwords 1, 1
        all_dwords 2, 0
        mov r8d, 0
        sti
.loop:  vpaddd ymm0, ymm0, ymm1
        paddd xmm2, xmm1                ; its upper half stays
        inc r8d
        cmp qword [ticks], 200
        jb .loop
        cli
        mov dword [rcx + 0x380], 0
        mov dword [rcx + 0x320], 0x10000
        vmovups [got], ymm0
        mov eax, [got]
        is rax, r8
        mov eax, [got + 28]
        is rax, r8
        lanes 2, r8, 0

        topic "FXSAVE in the middle"
        hot saves
        lanes 0, 0x33, 0x11
        movups xmm0, [IMAGE + 160]
        lanes 0, 0x33, 0x11
        movups xmm1, [IMAGE2 + 160]
        movd eax, xmm1
        is rax, 0x33

        topic "XSAVE: what is in use"
        mov edi, ZEROS
        mov ecx, 1024 / 4
        xor eax, eax
        rep stosd
        mov dword [ZEROS + 24], 0x1f80
        mov word [ZEROS], 0x37f
        hot uses
        mov qword [left], HOT
.uses:  call uses
        cmp dword [got + 64], 0
        jne .not
        cmp dword [got + 68], 2
        jne .not
        cmp dword [got + 72], 6
        jne .not
        cmp dword [IMAGE + 160], 0x99
        jne .not
        dec qword [left]
        jnz .uses
.not:   is [left], 0
        mov eax, [got + 64]
        is rax, 0
        mov eax, [got + 68]
        is rax, 2
        mov eax, [got + 72]
        is rax, 6

        topic "MXCSR that unmasks"
        mov dword [mxcsr], 0x1f80
        ldmxcsr [mxcsr]
        hot divides
        stmxcsr [mxcsr]
        mov eax, [mxcsr]
        is rax, 0x1f84                  ; ZE
        mov dword [mxcsr], 0x1d80       ; ZM clear
        ldmxcsr [mxcsr]
        expect .divided
        call divides
.divided: caught XM, NO_ERROR, divides.at
        lanes 1, 0x40000000, 0x40000000 ; what came before: 1 + 1
        lanes 2, 0, 0
        stmxcsr [mxcsr]
        mov eax, [mxcsr]
        is rax, 0x1d84
        mov dword [mxcsr], 0x1f80
        ldmxcsr [mxcsr]
        hot divides
        call unmasks                    ; the same in one stretch
        mov qword [left], HOT
.again: expect .in_one
        call unmasks
.in_one: caught XM, NO_ERROR, unmasks.at
        dec qword [left]
        jnz .again
        finish

        align 64, nop
summing: all_dwords 0, 2
        all_dwords 1, 3
        all_dwords 2, 5
        all_dwords 4, 7
        vmovd xmm3, eax
        vpaddd ymm3, ymm0, ymm3         ; upper half: 2
        vpaddd ymm0, ymm0, [rbx + 0x10] ; low: [rbx+10h] + 2
        paddd xmm0, [rbx + 0x10]
        psubd xmm0, [rbx + 0x10]
        vpsubd ymm0, ymm0, [rbx + 0x10]
        vmovups ymm1, [rbx + 0x10]
        vpaddd ymm0, ymm0, ymm1
        vpcmpeqd ymm1, ymm1, ymm1
        psubd xmm0, xmm1                ; + 1 below
        vpaddd xmm1, xmm1, [rbx + 0x10] ; the upper half is gone
        vpsubd xmm1, xmm1, [rbx + 0x20]
        vpaddd xmm1, xmm1, xmm4
        vmovd eax, xmm1
        vmovups xmm1, [rbx + 0x10]
        vpaddd xmm1, xmm1, xmm2
        vpcmpeqd xmm5, xmm5, xmm5
        vpaddd xmm1, xmm1, xmm5
        vmovd xmm5, [rbx + 0x10]
        paddd xmm3, xmm5
        paddd xmm3, xmm2
        vmovd xmm5, eax
        vpbroadcastd xmm5, xmm5
        vmovd eax, xmm3
        sub eax, [rbx + 0x10]
        sub eax, 5
        vmovd xmm5, eax
        psubd xmm3, xmm5
.at:    vpaddd ymm4, ymm4, [rbx + 0x30]
        paddd xmm2, [rbx + 0x20]
        ret
        align 64, nop
aligned: all_dwords 0, 9
        all_dwords 1, 9
        mov eax, 3
        movd xmm1, eax
        movups xmm0, [rbx]
        mov eax, 1
        movd xmm2, eax
        paddd xmm0, xmm2
.at:    movaps xmm1, [rbx]
        movaps [rbx + 16], xmm0
        ret
        align 64, nop
aligned_wide: all_dwords 0, 9
        all_dwords 1, 9
        mov eax, 3
        movd xmm1, eax
        vmovdqu ymm0, [rbx]
        vpxor ymm0, ymm0, ymm0
        vmovd xmm3, [rbx]
        vpcmpeqd ymm2, ymm2, ymm2
        vpsubd ymm0, ymm0, ymm2
        paddd xmm0, xmm3
.at:    vmovdqa ymm1, [rbx]
        vmovdqa [rbx + 32], ymm0
        ret
        align 64, nop
device: all_dwords 0, 0x10
        all_dwords 1, 0x20
        all_dwords 2, 0x20
        all_dwords 3, 0x30
        mov eax, 1
        vmovd xmm4, eax
        mov dword [rcx], 0x30
        paddd xmm0, xmm4
        vmovd xmm1, [rcx]
        paddd xmm2, xmm4
        movd xmm5, [rcx]
        mov eax, [rcx]
        sub eax, 0x10
        movd xmm5, eax
        paddd xmm2, xmm5
        mov eax, [rcx]
        ret
        align 64, nop
aside:  all_dwords 0, 2
        all_dwords 1, 4
        vpaddd ymm0, ymm0, ymm1
        cmp ecx, 1
        je .out
        all_dwords 2, 2
        vpaddd ymm0, ymm0, ymm2
        all_dwords 1, 9
        cmp ecx, 2
        je .out
        mov eax, 5
        vmovd xmm3, eax
        vpaddd xmm1, xmm1, xmm3
.out:   ret
        align 64, nop
compares: mov eax, 1
        cvtsi2ss xmm0, eax
        mov eax, 2
        cvtsi2ss xmm1, eax
        comiss xmm0, xmm1
        jae .out
        inc ecx
        ucomiss xmm1, xmm0
        jbe .out
        inc ecx
        pxor xmm2, xmm2
        ptest xmm2, xmm0
        jnz .out
        inc ecx
        ptest xmm0, xmm0
        jz .out
        inc ecx
        vptest ymm0, ymm0
        jnc .out
        inc ecx
        comiss xmm0, xmm0
        jne .out
        inc ecx
        vcomiss xmm1, xmm0
        setae al
        movzx eax, al
        add ecx, eax
.out:   ret
        align 64, nop
saves:  all_dwords 0, 0x11
        mov eax, 0x22
        movd xmm1, eax
        paddd xmm0, xmm1
        fxsave [IMAGE]
        psubd xmm0, xmm1
        psubd xmm0, xmm1
        movups xmm5, xmm0
        fxrstor [IMAGE]
        fxsave [IMAGE2]
        ret
        align 64, nop
uses:   mov eax, 7
        xor edx, edx
        xrstor [ZEROS]
        xsave [IMAGE]
        mov ecx, [IMAGE + HEADER]
        and ecx, 6
        mov [got + 64], ecx
        mov ecx, 0x99
        movd xmm0, ecx
        xsave [IMAGE]
        mov ecx, [IMAGE + HEADER]
        and ecx, 6
        mov [got + 68], ecx
        vpbroadcastd ymm1, xmm0
        xsave [IMAGE]
        mov ecx, [IMAGE + HEADER]
        and ecx, 6
        mov [got + 72], ecx
        ret
        align 64, nop
divides: mov eax, 0x3f800000
        all_dwords 1, 0x3f800000
        pxor xmm0, xmm0
        vpxor xmm2, xmm2, xmm2
        vaddps ymm1, ymm1, ymm1
        movaps xmm3, xmm1
.at:    divps xmm3, xmm0
        movaps xmm2, xmm3
        ret
        align 64, nop
unmasks: mov dword [mxcsr], 0x1f80
        ldmxcsr [mxcsr]
        all_dwords 1, 0x3f800000
        movaps xmm4, xmm1
        pxor xmm0, xmm0
        divps xmm1, xmm0
        movaps xmm1, xmm4
        cmp qword [left], 0
        je .done
        mov dword [mxcsr], 0x1d80
        ldmxcsr [mxcsr]
.at:    divps xmm1, xmm0
        divps xmm2, xmm0
.done:  ret
        align 64, nop
tick:   inc qword [ticks]
        push rax
        push rcx
        vmovups [got + 256], ymm0
        vmovups [got + 288], ymm2
        vpcmpeqd ymm0, ymm0, ymm0
        vpcmpeqd ymm2, ymm2, ymm2
        vpaddd ymm0, ymm0, ymm2
        mov ecx, APIC
        mov dword [rcx + 0xb0], 0
        vmovups ymm0, [got + 256]
        vmovups ymm2, [got + 288]
        pop rcx
        pop rax
        iretq
%include "end.inc"
