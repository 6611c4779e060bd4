; Jumps within a page that an interrupt meets before they have been taken: the handler, in the same page, is not where
; they lead.
%include "start.inc"
%include "interrupt.inc"

        absolute user_vars
taken:  resd 1                          ; interrupts

        section .text
        bits 32
main:
        need 1, 0, edx, 9, "local APIC"
        call interrupts_init
        call apic_on
        mov word [IDT32 + 8 * 0x41], handler
        mov dword [taken], 0
        topic "a jump"
        mov ecx, 3
        sti
        jmp page
back:   cli
        is [taken], 3
        is ecx, 0

        topic "a conditional jump"
        mov dword [taken], 0
        mov ecx, 3
        sti
        jmp page.conditional
back2:  cli
        is [taken], 3
        is ecx, 0
        finish

        align 256
page:   mov dword [APIC_ICR], 0x40041   ; to itself; pending when the jump is made
        jmp .there
        nop
.there: dec ecx
        jnz page
        jmp back
.conditional:
        mov dword [APIC_ICR], 0x40041
        test ecx, ecx
        jnz .over
        nop
.over:  dec ecx
        jnz .conditional
        jmp back2
handler: inc dword [taken]
        mov dword [APIC_EOI], 0
        iretd
%if (handler - page) > 200
%error "they must share a page"
%endif
%include "end.inc"
