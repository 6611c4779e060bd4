; With -icount a run is the same to the instruction: this one mixes interrupts of three timers, the
; time stamp counter, where each interrupt came, and what the other processors have done by then,
; into a number that two runs must agree on.
; twice
; run: -DCPUS=1 -icount shift=3,sleep=off -rtc clock=vm,base=2024-01-01T00:00:00
; run: -DCPUS=1 -icount shift=0,sleep=off -rtc clock=vm,base=2024-01-01T00:00:00
; run: -DCPUS=2 -smp 2 -icount shift=3,sleep=off -rtc clock=vm,base=2024-01-01T00:00:00
%define AP
%include "start.inc"
%include "interrupt.inc"

BUFFER  equ 0x200000

        absolute user_vars
hash:   resd 1
events: resd 1
others: resd 8                          ; how far each processor has come
value:  resd 4

        section .text
        bits 32
main:
        call interrupts_init
        call apic_on
        mov dword [hash], 0x811c9dc5
%if CPUS > 1
        topic "the other processors"
        mov dword [APIC_ICR], 0xc4500
        mov dword [APIC_ICR], 0xc4601
%endif
        topic "timers"
        mov word [IDT32 + 8 * 0x20], tick
        mov word [IDT32 + 8 * 0x28], clock
        mov word [IDT32 + 8 * 0x50], shot
        mov dword [APIC_LINT0], 0x700
        mov al, 0xfa
        out 0x21, al
        mov al, 0xfe
        out 0xa1, al
        mov al, 2
        mov dx, 2386                    ; 500 Hz
        call timer_start
        mov al, 0x8a
        out 0x70, al
        mov al, 0x27                    ; 512 Hz
        out 0x71, al
        mov al, 0x8b
        out 0x70, al
        mov al, 0x42
        out 0x71, al
        mov dword [APIC_DIVIDE], 0xb
        mov dword [APIC_TIMER], 0x20050
        mov dword [APIC_INITIAL], 1234567
        sti
        xor ebx, ebx
.work:  inc ebx                         ; what is interrupted: some of everything
        mov eax, ebx
        imul eax, 2654435761
        mov ecx, 16
        mov edi, BUFFER
        rep stosd
        call mix
        push ebx
        cpuid
        pop ebx
        fild dword [value]
        fistp dword [value + 4]
        mov eax, [APIC_CURRENT]
        call mix
        in al, 0x40
        call mix
        rdtsc
        call mix
        cmp dword [events], 200
        jb .busy
        hlt                             ; the later ones from sleep
.busy:  cmp dword [events], 300
        jb .work
        cli
        mov eax, ebx
        call mix
        topic "result"
        mov eax, [hash]
        call puthex32
        call newline32
        mov eax, [events]
        cmp eax, 300
        setae al
        movzx eax, al
        is eax, 1
        finish

; EAX into the hash; changes EAX, EDX
mix:    pushfd
        cli
        xor eax, [hash]
        imul eax, 16777619
        rol eax, 13
        mov [hash], eax
        popfd
        ret

event:  pushad
        inc dword [events]
        mov eax, [esp + 40]             ; where it came
        call mix
        rdtsc
        call mix
%assign cpu 1
%rep CPUS - 1
        mov eax, [others + 4 * cpu]
        call mix
%assign cpu cpu + 1
%endrep
        popad
        ret
tick:   push eax
        call event
        mov al, 0x20
        out 0x20, al
        pop eax
        iretd
clock:  push eax
        call event
        mov al, 0x0c
        out 0x70, al
        in al, 0x71
        mov al, 0x20
        out 0xa0, al
        out 0x20, al
        pop eax
        iretd
shot:   push eax
        call event
        mov dword [APIC_EOI], 0
        pop eax
        iretd

        bits 16
ap_start:
        xor ax, ax
        mov ds, ax
        lgdt [gdt_pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword CODE32:.code32
        bits 32
.code32: mov eax, DATA
        mov ds, eax
        mov eax, [APIC_ID]
        shr eax, 24
.again: inc dword [others + eax * 4]
        jmp .again
%include "end.inc"
