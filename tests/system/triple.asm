; Triple faults reset the machine (SDM vol 3 §6.15: shutdown; the PC's board turns that into a
; reset).
; ends: reset
; run: -DIDT
; run: -DSTACK_
; run: -DREAL
; run: -DREAL_STACK_
; run: -DLONG_
; run: -DPAGING_OFF
%define LONG
%include "start.inc"
        section .text
        bits 32
main:
        topic "reset"
%ifdef IDT
        mov word [table_pointer], 0
        lidt [table_pointer]
        ud2
%elifdef STACK_
        descriptor SEL_FREE, 0x50000, 0xf, 0x92, 4
        mov eax, SEL_FREE
        mov ss, eax
        mov esp, 4
        push eax
        push eax
%elifdef REAL
        real no_idt
%elifdef REAL_STACK_
        real odd_stack
%elifdef LONG_
        call enter_long
        bits 64
        mov rsp, 0x123456789000
        push rax
%elifdef PAGING_OFF
        mov dword [0x50000], 0x87       ; nothing but the first 4 MiB, whose GDT, IDT and stack go away
        mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov eax, 0x50000
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov dword [0x50000], 0
        mov eax, cr3
        mov cr3, eax
        nop
%endif
        bits 32
        topic "still alive"
        finish
        bits 16
no_idt: mov word [table_pointer], 0
        lidt [table_pointer]
        int 3
        ret
odd_stack:
        mov sp, 1
        push ax                         ; neither this nor the frame of its #SS fits (vol 2, PUSH)
        mov sp, REAL_STACK - 2
        ret
%include "end.inc"
