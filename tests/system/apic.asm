; The local APIC as the processor sees it: IPIs to itself, priorities, timer in its three modes,
; NMI, errors, x2APIC, and what comes from the I/O APIC and the 8259s (SDM vol 3 ch. 10).
%define LONG
%include "start.inc"
%include "interrupt.inc"

        absolute user_vars
value:  resd 4
nmi_count: resd 1
nmi_depth: resd 1
nmi_deepest: resd 1

        section .text
        bits 32
%macro self 1                           ; an IPI to oneself
        mov dword [APIC_ICR], 0x40000 | %1
%endmacro
%macro counted 2
        is [counts + 4 * %1], %2
%endmacro
%macro open 0                           ; interrupts for a moment
        sti
        nop
        nop
        cli
%endmacro

main:
        need 1, 0, edx, 9, "local APIC"
        call interrupts_init

        topic "base and reset values"
        mov ecx, 0x1b
        rdmsr
        is eax, 0xfee00900              ; enabled, the bootstrap processor
        is edx, 0
        is [APIC_ID], 0
        mov eax, [APIC + 0x30]
        and eax, 0xf0
        is eax, 0x10                    ; version 1xh
        is [APIC_SVR], 0xff
        is [APIC_TIMER], 0x10000
        is [APIC_TPR], 0
        is [APIC + 0xe0], 0xffffffff    ; DFR
        is [APIC + 0xd0], 0             ; LDR
        is [APIC_INITIAL], 0
        is [APIC_CURRENT], 0
        is [APIC_ICR], 0
        mov dword [APIC_LINT1], 0x400   ; while software has it off, masks stay set
        is [APIC_LINT1], 0x10400
        call apic_on

        topic "IPIs to oneself"
        self 0x41
        counted 0x41, 0                 ; IF is clear
        is [APIC_IRR + 0x20], 2         ; 41h: bit 1 of 40h-5Fh
        open
        counted 0x41, 1
        is [APIC_IRR + 0x20], 0
        is [APIC_ISR + 0x20], 0
        mov dword [APIC_ICR_HIGH], 0
        mov dword [APIC_ICR], 0x42      ; physical, to 0
        open
        counted 0x42, 1
        mov dword [APIC_ICR_HIGH], 0xff000000
        mov dword [APIC_ICR], 0x43      ; physical, to all
        open
        counted 0x43, 1
        mov dword [APIC_ICR], 0x80044   ; all including self
        open
        counted 0x44, 1
        mov dword [APIC_ICR], 0xc0045   ; all but self
        open
        counted 0x45, 0
        mov dword [APIC + 0xd0], 0x02000000
        mov dword [APIC_ICR_HIGH], 0x02000000
        mov dword [APIC_ICR], 0x846     ; logical, flat
        open
        counted 0x46, 1
        mov dword [APIC_ICR_HIGH], 0x05000000
        mov dword [APIC_ICR], 0x847     ; others
        open
        counted 0x47, 0
        mov dword [APIC + 0xe0], 0x0fffffff     ; clusters: cluster 0, member 2
        mov dword [APIC_ICR_HIGH], 0x02000000
        mov dword [APIC_ICR], 0x847
        open
        counted 0x47, 1
        mov dword [APIC_ICR_HIGH], 0x12000000   ; cluster 1
        mov dword [APIC_ICR], 0x847
        open
        counted 0x47, 1
        mov dword [APIC + 0xe0], 0xffffffff
        mov dword [APIC_ICR_HIGH], 0
        self 0x48
        self 0x48
        open
        counted 0x48, 1                 ; IRR holds one

        topic "the frame of an interrupt"
        self 0x49
        expect .frame
        mov word [IDT32 + 8 * 0x49], vectors32 + 16 * 0x49
        sti
        nop
.here:  nop
        mov dword [recover], 0
.frame: is [exc_vec], 0x49
        is [exc_rip], .here             ; STI holds interrupts off for one instruction
        mov eax, [exc_flags]
        and eax, 0x10200
        is eax, 0x200
        is [APIC_ISR + 0x20], 0x200
        mov dword [APIC_EOI], 0
        is [APIC_ISR + 0x20], 0

        topic "a gate that refuses an interrupt"
        mov byte [IDT32 + 8 * 0x4a + 5], 0x0e
        self 0x4a
        expect .refused
        sti
        nop
        nop
        mov dword [recover], 0
.refused: cli
        is [exc_vec], NP
        is [exc_err], 0x4a * 8 + 2 + 1
        mov dword [APIC_EOI], 0         ; it was taken from the APIC
        mov byte [IDT32 + 8 * 0x4a + 5], 0x8e

        topic "priorities"
        call reset_counts
        self 0x41
        self 0x61
        self 0x51
        self 0x62
        open
        is [order], 0x41516162          ; the highest first
        call reset_counts
        mov dword [APIC_TPR], 0x50
        is [APIC_PPR], 0x50
        self 0x61
        self 0x5f
        self 0x41
        open
        counted 0x61, 1
        counted 0x5f, 0
        counted 0x41, 0
        mov dword [APIC_TPR], 0x4f
        is [APIC_PPR], 0x4f
        open
        counted 0x5f, 1
        counted 0x41, 0
        mov dword [APIC_TPR], 0
        open
        counted 0x41, 1
        ; one in service holds back those of its class and below
        call reset_counts
        mov word [IDT32 + 8 * 0x55], nested
        self 0x55
        open
        is [order], 0x41565866          ; 66h came within, the others after it
        is [value], 0x50                ; PPR there
        is [value + 4], 0x200000        ; ISR there: 55h

        topic "the timer, once"
        call reset_counts
        mov dword [APIC_DIVIDE], 0xb    ; by 1
        mov dword [APIC_TIMER], 0x50
        mov dword [APIC_INITIAL], 100000
        wait_count 0x50, 1
        counted 0x50, 1
        is [APIC_CURRENT], 0
        is [APIC_INITIAL], 100000
        call settle
        counted 0x50, 1
        mov dword [APIC_INITIAL], 0xffffffff
        mov ebx, [APIC_CURRENT]
        call settle
        mov eax, [APIC_CURRENT]
        sub ebx, eax
        cmp ebx, 1000
        seta al
        movzx eax, al
        is eax, 1                       ; it counts down
        mov dword [APIC_INITIAL], 0     ; stops
        is [APIC_CURRENT], 0
        mov dword [APIC_TIMER], 0x10050
        mov dword [APIC_INITIAL], 1000
        call settle
        counted 0x50, 1                 ; masked
        is [APIC_IRR + 0x20], 0

        topic "the timer, again and again"
        call reset_counts
        mov dword [APIC_DIVIDE], 0      ; by 2
        mov dword [APIC_TIMER], 0x20051
        mov dword [APIC_INITIAL], 50000
        wait_count 0x51, 5
        mov eax, [counts + 4 * 0x51]
        cmp eax, 5
        setae al
        movzx eax, al
        is eax, 1
        mov eax, [APIC_CURRENT]
        cmp eax, 50000
        setbe al
        movzx eax, al
        is eax, 1
        mov dword [APIC_INITIAL], 0
        call reset_counts
        call settle
        mov eax, [counts + 4 * 0x51]
        cmp eax, 1                      ; one may have been on its way
        setbe al
        movzx eax, al
        is eax, 1

        topic "the timer's divisors"
        mov dword [APIC_TIMER], 0x10050
%macro measure 1                        ; EBX: how far it counts in a short time, with a divisor
        mov dword [APIC_DIVIDE], %1
        mov dword [APIC_INITIAL], 0xffffffff
        call settle
        mov ebx, [APIC_CURRENT]
        not ebx
%endmacro
        measure 0xb
        mov esi, ebx
        measure 3                       ; by 16
        mov eax, esi
        xor edx, edx
        div ebx
        sub eax, 4                      ; 16, measured on a busy host: 4 to 64
        cmp eax, 60
        setbe al
        movzx eax, al
        is eax, 1
        mov dword [APIC_INITIAL], 0

        topic "the timer by TSC"
        has 1, 0, ecx, 24
        jnz .deadline
        left_out "TSC deadline"
        jmp .no_deadline
.deadline:
        call reset_counts
        mov dword [APIC_TIMER], 0x40052
        mov ecx, 0x6e0
        rdmsr
        is eax, 0
        rdtsc
        add eax, 10000000
        adc edx, 0
        mov esi, eax
        mov edi, edx
        wrmsr
        wait_count 0x52, 1
        counted 0x52, 1
        rdtsc
        sub eax, esi
        sbb edx, edi
        setnc al
        movzx eax, al
        is eax, 1                       ; not before its time
        rdmsr
        is eax, 0                       ; armed no longer
        call settle
        counted 0x52, 1
        mov eax, 1                      ; long ago: at once
        xor edx, edx
        wrmsr
        wait_count 0x52, 2
        counted 0x52, 2
        rdtsc
        add edx, 1
        wrmsr
        xor eax, eax
        xor edx, edx
        wrmsr                           ; disarmed
        mov dword [APIC_INITIAL], 1000  ; means nothing in this mode
        call settle
        counted 0x52, 2
        is [APIC_CURRENT], 0
.no_deadline:
        mov dword [APIC_TIMER], 0x10000

        topic "NMI"
        mov word [IDT32 + 8 * 2], nmi
        mov dword [APIC_ICR_HIGH], 0
        mov dword [APIC_ICR], 0x400
        mov ecx, 1000
.spin:  pause
        loop .spin
        is [nmi_count], 2               ; the second was sent within the first
        is [nmi_deepest], 1             ; and waited for its IRET
        mov word [IDT32 + 8 * 2], vectors32 + 32

        topic "errors"
        mov dword [APIC_ESR], 0
        mov dword [APIC_ESR], 0
        is [APIC_ESR], 0
        mov dword [APIC_ERROR], 0x5e
        call reset_counts
        mov dword [APIC_ICR], 0x40008   ; vectors below 16 are illegal
        open
        counted 0x5e, 1
        mov dword [APIC_ESR], 0
        mov eax, [APIC_ESR]
        and eax, 0x20
        is eax, 0x20                    ; send illegal vector
        mov dword [APIC_ESR], 0
        mov eax, [APIC_ESR]
        and eax, 0x20
        is eax, 0
        mov dword [APIC_ERROR], 0x10000

%include "apic-outside.inc"
%include "end.inc"
