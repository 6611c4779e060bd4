; HLT and the moments at which interrupts are taken: shadows of STI, MOV SS and POP SS, IRET and
; POPF, waking by the 8254, the RTC and an NMI (SDM vol 3 §6.8; vol 2 at STI, HLT, MOV).
%include "start.inc"
%include "interrupt.inc"

        absolute user_vars
woken_at: resd 1                        ; RIP that the handler of 41h found
woken:  resd 1
nmi_seen: resd 1
pointer: resd 2

        section .text
        bits 32
; interrupted_at LABEL: 41h came once, with that RIP
%macro interrupted_at_ 2
        is_ %1, [woken], 1
        is_ %1, [woken_at], %2
%endmacro
%define interrupted_at interrupted_at_ __LINE__,
%macro pending 0                        ; 41h waits for IF
        mov dword [woken], 0
        mov dword [APIC_ICR], 0x40041
%endmacro
%macro ioapic 2
        mov dword [IOAPIC], %1
        mov dword [IOAPIC + 0x10], %2
%endmacro

; Of several shadows in a row only the first is sure (vol 2, MOV): at LABEL, or a NOP before it.
%macro interrupted_near_ 2
        is_ %1, [woken], 1
        cmp dword [woken_at], %2 - 1
        je %%good
        is_ %1, [woken_at], %2
%%good:
%endmacro
%define interrupted_near interrupted_near_ __LINE__,

main:
        need 1, 0, edx, 9, "local APIC"
        call interrupts_init
        call apic_on
        mov word [IDT32 + 8 * 0x41], wake

        topic "STI"
        pending
        sti
        nop
.a:     nop
        cli
        interrupted_at .a
        pending
        sti                             ; never a moment between the two
        cli
        is [woken], 0
        sti
        hlt                             ; the pending one ends it
.b:     cli
        interrupted_at .b
        pending
        sti
        sti                             ; IF was set before: no shadow of its own
.c:     nop
        nop
        cli
        interrupted_at .c
        pending
        mov ecx, 3                      ; STI and CLI in a loop
.loop:  sti
        cli
        loop .loop
        is [woken], 0
        sti
        jmp .d                          ; the one instruction may be a branch
        nop
.d:     nop
        cli
        interrupted_at .d
        pending
        sti
        fault UD, NO_ERROR, {ud2}       ; or fault: `fault` itself took the interrupt before that
        cli
        is [woken], 1

        topic "POPF and IRET"
        pending
        push dword 0x202
        popfd
.e:     nop
        cli
        interrupted_at .e
        pending
        push dword 0x202
        push dword CODE32
        push dword .f
        iretd
        nop
.f:     nop
        cli
        interrupted_at .f
        pending
        user r3, 0x202
        caught BACK, NO_ERROR, r3.end
        interrupted_at r3

        topic "MOV SS, POP SS, LSS"
        mov ebx, ss
        pending
        sti
        mov ss, ebx
        nop
.g:     nop
        cli
        interrupted_near .g
        push ebx
        pending
        sti
        pop ss
        nop
.h:     nop
        cli
        interrupted_near .h
        pending
        sti
        mov ds, ebx                     ; no other segment register does that
.i:     nop
        cli
        interrupted_at .i
        mov [pointer], esp
        mov [pointer + 4], ebx
        pending
        sti
        lss esp, [pointer]
.j:     nop
        cli
        interrupted_at .j

        topic "between two iterations of REP"
        pending
        mov esi, 0x300000
        mov edi, 0x310000
        mov ecx, 0x8000
        sti
.rep:   rep movsb
        cli
        is [woken], 1
        mov eax, [woken_at]
        cmp eax, .rep
        je .rep_good
        is eax, .rep + 2                ; or behind all of them
.rep_good:
        is ecx, 0
        is edi, 0x318000

        topic "HLT and the 8254"
        mov dword [APIC_LINT0], 0x700
        mov al, 0xfe
        out 0x21, al
        mov al, 0                       ; once, after 10 ms
        mov dx, 11932
        call timer_start
        sti
        hlt
        cli
        is [counts + 4 * 0x20], 1
        mov al, 2                       ; 1193 Hz
        mov dx, 1000
        call timer_start
        call reset_counts
        mov word [IDT32 + 8 * 0x20], tick
        mov ecx, 50
.ticks: sti
        hlt
        cli
        loop .ticks
        is [counts + 4 * 0x20], 50
        mov al, 0xff
        out 0x21, al
        mov al, 0
        mov dx, 1
        call timer_start

        topic "HLT and the local APIC's timer"
        call reset_counts
        mov dword [APIC_DIVIDE], 0xb
        mov dword [APIC_TIMER], 0x50
        mov ecx, 20
.shots: mov dword [APIC_INITIAL], 100000
        sti
        hlt
        cli
        loop .shots
        is [counts + 4 * 0x50], 20

        topic "HLT and the RTC"
        mov al, 0x8a                    ; 1024 Hz
        out 0x70, al
        mov al, 0x26
        out 0x71, al
        mov al, 0x8b
        out 0x70, al
        mov al, 0x42
        out 0x71, al
        mov word [IDT32 + 8 * 0x28], clock
        mov dword [woken], 0
        mov al, 0xfb
        out 0x21, al
        mov al, 0xfe
        out 0xa1, al
        mov ecx, 20
.rtc:   sti
        hlt
        cli
        loop .rtc
        mov al, 0xff
        out 0x21, al
        out 0xa1, al
        is [woken], 20
        mov al, 0x8b
        out 0x70, al
        mov al, 0x02
        out 0x71, al

        topic "HLT with interrupts off, and an NMI"
        mov word [IDT32 + 8 * 2], nmi
        mov dword [nmi_seen], 0
        ioapic 0x15, 0
        ioapic 0x14, 0x400              ; the 8254's pin as an NMI
        mov al, 0
        mov dx, 11932
        call timer_start
.deaf:  cli
        hlt
        is [nmi_seen], 1
        ioapic 0x14, 0x10000
        finish

wake:   push eax
        mov eax, [esp + 4]
        mov [ss:woken_at], eax
        inc dword [ss:woken]
        mov dword [ss:APIC_EOI], 0
        pop eax
        iretd
clock:  push eax
        inc dword [woken]
        mov al, 0x0c
        out 0x70, al
        in al, 0x71
        mov al, 0x20
        out 0xa0, al
        out 0x20, al
        pop eax
        jmp once
tick:   push eax
        inc dword [counts + 4 * 0x20]
        mov al, 0x20
        out 0x20, al
        pop eax
once:   and dword [esp + 8], ~0x200     ; IF: one interrupt for each HLT, however busy the host is before CLI
        iretd
nmi:    inc dword [nmi_seen]
        iretd
r3:     nop
        int BACK
.end:
%include "end.inc"
