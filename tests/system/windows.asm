; Several accesses around one register, run often, then with the register where one of them cannot be made: the pages'
; border with nothing, a page that cannot be written, a device or code behind it, the canonical hole, translations that change
; in between.  What came before has happened, what faults has not, RIP, CR2, RSP and flags are exact (SDM vol 3 §6.5, 6.15).
%define LONG
%include "start.inc"

PD1     equ PDS + 0x1000                ; of the second GiB
PT      equ 0x40000
FRAMES  equ 0x300000                    ; one for each page
PAGES   equ 0x40000000                  ; eight pages of 4 KiB
EDGE    equ PAGES + 0x2000              ; between page 1 and 2
GOOD    equ PAGES + 0x1800
HOLE    equ 0x800000000000              ; the first address that is not canonical
APIC_PAGE equ 0xfee00000
HOT     equ 40
ARITH   equ 0x8d5
FIRST   equ 0x1111111111111111
SECOND  equ 0x7222222222222222

        absolute user_vars
        alignb 8
kept_rsp: resq 1
kept:   resq 4

%define pte(n) (PT + 8 * (n))
%define frame(n) (FRAMES + 0x1000 * (n))
%macro map 2
        push rax
        mov rax, %2
        mov [pte(%1)], rax
        pop rax
        invlpg [PAGES + 0x1000 * (%1)]
%endmacro
%macro map_all 0
%assign %%n 0
%rep 8
        map %%n, frame(%%n) | 7
%assign %%n %%n + 1
%endrep
%endmacro
%macro number 2
        mov rax, %2
        mov [%1], rax
%endmacro
%macro is_wide 2
        push rax
        mov rax, %2
        mov [kept + 24], rax
        pop rax
        is %1, [kept + 24]
%endmacro
; the fault's flags that arithmetic makes
%macro flags_are 1
        mov rax, [exc_flags]
        and eax, ARITH
        is rax, %1
%endmacro
%macro hot 1+                           ; code to run often; R12D counts
        mov r12d, HOT
%%next: %1
        dec r12d
        jnz near %%next
%endmacro

        section .text
        bits 32
main:
        call enter_long
        bits 64
        mov rax, cr0
        or eax, 0x10000                 ; WP
        mov cr0, rax
        mov qword [PD1], PT | 7
        mov rax, cr3
        mov cr3, rax
        map_all
        ; stacks of their own for what a stack may cause
%macro own_stack 1
        mov byte [IDT64 + 16 * (%1) + 4], 1
%endmacro
        own_stack SS_
        own_stack GP
        own_stack PF
        own_stack DF

        topic "loads"
%macro loads 1                          ; base register
        align 16, nop
loads_%1:
        mov rax, [%1 - 16]
        add rax, rax
        mov rdx, [%1 - 8]
        cmp rdx, rax
.at:    mov rsi, [%1]
        mov rdi, [%1 + 8]
        ret
%endmacro
%macro try_loads 1
        map_all
        number frame(1) + 0xff0, FIRST
        number frame(1) + 0xff8, SECOND
        mov dword [frame(2)], 0x77
        mov %1, GOOD
        mov r12d, HOT
        mov [kept], r12
%%next: call loads_%1
        dec qword [kept]
        jnz %%next
        map 2, 0
        mov %1, EDGE
        mov rsi, 5
        mov rdi, 6
        expect %%fault
        call loads_%1
%%fault: mov [kept], rax
        caught PF, 0, loads_%1.at
        mov rax, [kept]
        is_wide rax, 2 * FIRST
        is_wide rdx, SECOND
        is rsi, 5
        is rdi, 6
        is [exc_cr2], EDGE
        flags_are 4                     ; PF: 22h - 22h
        lea rax, [rsp - 8]
        is [exc_sp], rax
        map 2, frame(2) | 7             ; and now it can be read
        mov %1, EDGE
        call loads_%1
        is rsi, 0x77
        mov %1, EDGE - 4                ; across the pages' border
        call loads_%1
        is_wide rsi, SECOND >> 32 | 0x77 << 32
%endmacro
        try_loads rbx
        try_loads rcx
        try_loads rbp
        try_loads r8
        try_loads r9
        try_loads r10
        try_loads r11
        try_loads r13
        try_loads r14
        try_loads r15

        topic "stores"
%macro stores 1
        align 16, nop
stores_%1:
        mov [%1 - 8], rax
        add eax, eax
        mov [%1 - 16], eax
        sub rdx, 1
.at:    add [%1], rdx
        mov [%1 + 8], rdx
        ret
%endmacro
%macro try_stores 1
        map_all
        mov %1, GOOD
        mov qword [kept], HOT
        mov edx, 0
%%next: call stores_%1
        dec qword [kept]
        jnz %%next
%assign %%kind 0
%rep 2                                  ; not there; not to be written
        mov qword [frame(2)], 0x55
        mov qword [frame(2) + 8], 0x66
        map 2, %%kind ? frame(2) | 5 : 0
        mov %1, EDGE
        mov eax, 0x20000000
        mov edx, 0
        expect %%fault%[%%kind]
        call stores_%1
%%fault%[%%kind]:
        mov [kept], rax
        caught PF, 2 + %%kind, stores_%1.at
        is [exc_cr2], EDGE
        is [kept], 0x40000000
        is rdx, -1
        flags_are 0x95                  ; SF, AF, PF, CF
        is [frame(1) + 0xff8], 0x20000000
        mov eax, [frame(1) + 0xff0]
        is rax, 0x40000000
        is [frame(2)], 0x55
        is [frame(2) + 8], 0x66
        mov qword [frame(1) + 0xff8], 0x1234
        mov %1, EDGE - 4                ; across: nothing is written on either side
        mov eax, 0x20000000
        mov edx, 0
        expect %%across%[%%kind]
        call stores_%1
%%across%[%%kind]:
        caught PF, 2 + %%kind, stores_%1.at
        is [exc_cr2], EDGE
        mov eax, [frame(1) + 0xffc]
        is rax, 0
%assign %%kind %%kind + 1
%endrep
        map 2, frame(2) | 7
        mov %1, EDGE
        call stores_%1
        mov rax, rdx
        is [frame(2) + 8], rax
%endmacro
        try_stores rbx
        try_stores rcx
        try_stores rbp
        try_stores r8
        try_stores r9
        try_stores r10
        try_stores r14
        try_stores r15

        topic "a device behind the border"
        map_all
        mov ebx, GOOD
        hot call device
        map 2, APIC_PAGE | 7
        mov eax, 0x20
        mov ebx, EDGE
        mov edx, 0
        call device
        is rdx, 0x20
        mov ecx, APIC_PAGE
        mov eax, [rcx + 0x80]
        is rax, 0x20
        is [frame(1) + 0xff8], 0x20
        mov eax, 0
        call device
        is rdx, 0

        topic "code behind the border"
        map_all
        mov dword [frame(2) + 0x80], 0x000000b8         ; MOV EAX, imm32; RET
        mov word [frame(2) + 0x84], 0xc300
        mov ebx, GOOD
        hot call patches
        mov qword [kept], HOT
.code:  mov ebx, EDGE
        mov eax, [kept]
        call patches
        mov esi, eax
        mov edi, EDGE + 0x80
        call rdi
        cmp eax, esi
        jne .not
        mov eax, 0
        mov edi, frame(2) + 0x80        ; the same at another address
        call rdi
        cmp eax, esi
        jne .not
        dec qword [kept]
        jnz .code
.not:   is [kept], 0

        topic "a store at the running code, seen from the other side"
        mov rsi, itself                 ; copied to page 3, which is seen as page 4 as well
        mov rdi, frame(3)
        mov ecx, itself.end - itself
        rep movsb
        map 4, frame(3) | 7
        mov ebx, GOOD
        mov edi, PAGES + 0x3000
        hot call rdi
        mov ebx, PAGES + 0x4000 + itself.imm - itself + 1
        mov dword [rbx], 7
        cpuid                           ; another linear address: serialize
        mov ebx, GOOD
        call rdi
        is rax, 7
        mov ebx, PAGES + 0x3000 + itself.imm - itself + 1
        call rdi                        ; and at its own next instruction
        is rax, 0x99
        call rdi
        is rax, 0x99

        topic "translations that change in between"
        map_all
        mov qword [frame(5)], 5
        mov qword [frame(5) + 8], 55
        mov qword [frame(6)], 6
        mov qword [frame(6) + 8], 66
%macro try_changes 1
        map 5, frame(5) | 7
        mov qword [kept], HOT
%%next: mov ebx, PAGES + 0x5000
        mov ecx, frame(6) | 7
        call %1
        cmp rax, 5
        jne %%not
        cmp rdx, 55
        jne %%not
        cmp rsi, 6
        jne %%not
        cmp rdi, 66
        jne %%not
        cmp [frame(6) + 16], rcx
        jne %%not
        mov ecx, frame(5) | 7
        call %1
        cmp rax, 6
        jne %%not
        cmp rsi, 5
        jne %%not
        cmp [frame(5) + 16], rcx
        jne %%not
        mov qword [frame(5) + 16], 0
        mov qword [frame(6) + 16], 0
        dec qword [kept]
        jnz %%next
%%not:  is [kept], 0
        mov ecx, 0                      ; nothing there any more
        expect %%gone
        call %1
%%gone: caught PF, 0, %1.gone
%endmacro
        try_changes by_invlpg
        map 5, frame(5) | 7
        try_changes by_cr3
        map 5, frame(5) | 7

%include "windows-stack.inc"
        finish

        loads rbx
        loads rcx
        loads rbp
        loads r8
        loads r9
        loads r10
        loads r11
        loads r13
        loads r14
        loads r15
        stores rbx
        stores rcx
        stores rbp
        stores r8
        stores r9
        stores r10
        stores r14
        stores r15
        align 16, nop
device: mov [rbx - 8], rax
        mov [rbx + 0x80], eax
        mov edx, [rbx + 0x80]
        mov rcx, [rbx - 8]
        ret
        align 16, nop
patches: mov [rbx - 8], rax
        mov [rbx + 0x81], eax
        mov rcx, [rbx - 8]
        ret
        align 16, nop
itself: mov ecx, 0x99
        mov [rbx], ecx
        mov edx, [rbx + 4]
.imm:   mov eax, 3
        ret
.end:
        align 16, nop
by_invlpg:
        mov rax, [rbx]
        mov rdx, [rbx + 8]
        mov [pte(5)], rcx
        invlpg [rbx]
.gone:  mov rsi, [rbx]
        mov rdi, [rbx + 8]
        mov [rbx + 16], rcx
        ret
        align 16, nop
by_cr3: mov rax, [rbx]
        mov rdx, [rbx + 8]
        mov [pte(5)], rcx
        mov rbp, cr3
        mov cr3, rbp
.gone:  mov rsi, [rbx]
        mov rdi, [rbx + 8]
        mov [rbx + 16], rcx
        ret
%include "end.inc"
