; Several processors: INIT and SIPI, IPIs, shootdown of translations, LOCK, ordering, code that
; another processor changes (SDM vol 3 ch. 8).
; run: -DCPUS=2 -smp 2
; run: -DCPUS=3 -smp 3
; run: -DCPUS=4 -smp 4
%define AP
%include "start.inc"
%include "interrupt.inc"

AP_STACKS equ 0x200000                  ; 4 KiB each
CODE    equ 0x210000                    ; code that changes
SHARED  equ 0x220000                    ; what they fight for: several pages
DIR     equ 0x60000                     ; paging: 4 MiB at their own addresses, then a window
TABLE   equ 0x61000
WINDOW  equ 0x800000
PTE     equ TABLE + 0x1000
FRAME_A equ 0x300000
FRAME_B equ 0x301000

        absolute user_vars
started: resd 1                         ; processors that have come in
done:   resd 1                          ; that have finished a command
command: resd 8                         ; by APIC ID: a function, or 0
first_cs: resd 1                        ; of the last one that came in
first_cr0: resd 1
first_flags: resd 1
first_edx: resd 1
first_base: resd 1
ids:    resd 1                          ; a bit for each APIC ID seen
rounds: resd 1
flag:   resd 1
answer: resd 1
stale:  resd 1
ack:    resd 1
stop:   resd 1
mutex:  resd 1
seen_0: resd 1
seen_1: resd 1
both_0: resd 1
tsc_low: resd 2
go_0:   resd 1
go_1:   resd 1

        section .text
        bits 32
; everybody FUNCTION: the others run it; then wait_others
%macro others 1
        mov eax, %1
        call others_
%endmacro
%macro everybody 1                      ; and so do we
        mov eax, %1
        call others_
        call %1
        call wait_others
%endmacro
%macro ipi 2                            ; low, destination
        mov dword [APIC_ICR_HIGH], (%2) << 24
        mov dword [APIC_ICR], %1
        call icr_idle
%endmacro

main:
        call interrupts_init
        call apic_on

        topic "INIT and SIPI"
        ipi 0xc4500, 0                  ; INIT, all but us
        call short_wait
        is [started], 0                 ; they wait for SIPI
        ipi 0xc4601, 0                  ; SIPI, page 01h
        call wait_started
        is [started], CPUS - 1
        is [ids], (1 << CPUS) - 2
        is [first_cs], 0x100
        is [first_cr0], 0x60000010
        is [first_flags], 2
        is [first_base], 0xfee00800     ; not the bootstrap processor
        mov eax, 1
        cpuid
        is [first_edx], eax             ; family, model, stepping
        ipi 0xc4601, 0                  ; no matter to those that run
        call short_wait
        is [started], CPUS - 1
        others nothing
        call wait_others
        is [done], CPUS - 1

        topic "INIT again"
        mov ecx, 10
.again: mov dword [started], 0
        ipi 0x4500, 1
        ipi 0x4601, 1
        mov edi, 1
        call wait_n_started
        cmp dword [started], 1
        jne .lost
        loop .again
.lost:  is ecx, 0
        mov dword [started], CPUS - 1

        topic "IPIs to processors that sleep"
        mov dword [stop], 0
        others sleep
        call short_wait
        mov ecx, 100
.ipis:  mov ebx, [counts + 4 * 0x40]
        ipi 0x40, 1
        mov esi, counts + 4 * 0x40
        lea edi, [ebx + 1]
        call wait_at_least
        loop .ipis
        is [counts + 4 * 0x40], 100
        ipi 0xc0041, 0                  ; all but us
        mov esi, counts + 4 * 0x41
        mov edi, CPUS - 1
        call wait_at_least
        is [counts + 4 * 0x41], CPUS - 1
        ipi 0x80042, 0                  ; all
        sti
        mov esi, counts + 4 * 0x42
        mov edi, CPUS
        call wait_at_least
        cli
        is [counts + 4 * 0x42], CPUS
        ipi 0x843, 2                    ; logical: LDR is 1 << ID
        mov esi, counts + 4 * 0x43
        mov edi, 1
        call wait_at_least
        is [counts + 4 * 0x43], 1
        ipi 0x944, (1 << CPUS) - 2      ; the one of lowest priority
        mov esi, counts + 4 * 0x44
        mov edi, 1
        call wait_at_least
        call short_wait
        is [counts + 4 * 0x44], 1
        mov dword [stop], 1
        ipi 0xc0045, 0
        call wait_others

        topic "NMI to a processor that has interrupts off"
        mov word [IDT32 + 8 * 2], nmi
        others deaf
        call short_wait
        mov ecx, 100
.nmis:  ipi 0xc0400, 0                  ; again for one that had not come to its HLT
        call short_wait
        cmp dword [done], CPUS - 1
        je .all_heard
        loop .nmis
.all_heard:
        is [done], CPUS - 1
        mov word [IDT32 + 8 * 2], vectors32 + 32

        topic "IPIs back"
        call reset_counts
        others call_back
        sti
        mov esi, counts + 4 * 0x46
        mov edi, 1
        call wait_at_least
        call wait_others
        cli
        mov eax, [counts + 4 * 0x46]    ; IRR holds one: some may have met
        dec eax
        cmp eax, CPUS - 1
        setb al
        movzx eax, al
        is eax, 1

        topic "LOCK INC, a million times each"
        everybody lock_inc
        is [SHARED], CPUS * 1000000
        topic "LOCK XADD"
        everybody lock_xadd
        is [SHARED + 64], CPUS * 200000
        topic "LOCK CMPXCHG"
        everybody lock_cmpxchg
        is [SHARED + 128], CPUS * 100000
        topic "LOCK CMPXCHG8B"
        everybody lock_cmpxchg8b
        is [SHARED + 192], CPUS * 50000
        is [SHARED + 196], -CPUS * 50000
        topic "LOCK on bytes and words of one dword"
        everybody lock_bytes
        mov eax, (CPUS * 100000) & 0xff
        mov ah, al
        movzx edx, word [SHARED + 256]
        is edx, eax
        movzx edx, word [SHARED + 258]
        is edx, (CPUS * 100000) & 0xffff
        topic "LOCK across a cache line"
        everybody lock_line
        is [SHARED + 0x200 - 2], CPUS * 100000
        topic "LOCK across a page"
        everybody lock_page
        is [SHARED + 0x1000 - 1], CPUS * 50000
        topic "LOCK across a page with another width"
        mov dword [SHARED + 0x1000 - 4], 0
        mov dword [SHARED + 0x1000], 0
        everybody lock_mixed
        is [SHARED + 0x1000 - 2], CPUS * 20000
        is [SHARED + 0x1002], CPUS * 20000
        topic "XCHG as a mutex"
        everybody lock_mutex
        is [SHARED + 384], CPUS * 20000
        topic "LOCK BTS and BTR as a mutex"
        mov dword [mutex], 0
        mov dword [SHARED + 384], 0
        everybody lock_bts
        is [SHARED + 384], CPUS * 20000

        topic "stores are seen in order"
        mov dword [SHARED + 0x2000], 0
        mov dword [SHARED + 0x2100], 0
        mov dword [stale], 0
        mov dword [command + 4], reader
        mov dword [done], CPUS - 2
        mov ecx, 200000
.write: mov eax, ecx
        neg eax
        add eax, 200001
        mov [SHARED + 0x2000], eax      ; data, then flag
        mov [SHARED + 0x2100], eax
        loop .write
        call wait_others
        is [stale], 0

        topic "a fence between a store and a load"
        mov dword [both_0], 0
        mov dword [done], CPUS - 2
        mov dword [go_1], 0
        mov dword [go_0], 0
        mov dword [command + 4], fence_1
        mov ecx, 3000
.fence: mov dword [SHARED + 0x2000], 0
        mov dword [SHARED + 0x2100], 0
        mov dword [go_1], ecx
        mov dword [SHARED + 0x2000], 1
        mfence
        mov eax, [SHARED + 0x2100]
        mov [seen_0], eax
.fence_wait: pause
        cmp [go_0], ecx
        jne .fence_wait
        mov eax, [seen_0]
        or eax, [seen_1]
        jnz .fence_ok
        inc dword [both_0]
.fence_ok: loop .fence
        call wait_others
        is [both_0], 0

%include "smp-more.inc"
%include "smp-functions.inc"
%include "end.inc"
