; Another processor begins to run code in a page to which this one is just writing, with look-ups made before: the last of the
; stores must not go unseen (SDM vol 3 §8.1.3: flag, serialize, call).
; run: -smp 2
%define AP
%define LONG
%include "start.inc"
%include "interrupt.inc"

PAGE_AT equ 0x210000
CODE_AT equ PAGE_AT + 64
ROUNDS  equ 2000

        absolute user_vars
        alignb 8
started: resq 1
go:     resq 1
flag:   resq 1
answer: resq 1
stale:  resq 1

        section .text
        bits 16
ap_start: xor ax, ax
        mov ds, ax
        mov ss, ax
        lgdt [gdt_pointer]
        mov eax, cr0
        or al, 1
        and eax, 0x9fffffff
        mov cr0, eax
        jmp dword CODE32:.code32
        bits 32
.code32: mov eax, DATA
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, 0x80000
        mov ecx, CODE_AT
        mov dword [started], 1
        mov esi, 0
.next:  mov edi, [go]
        cmp edi, esi
        je .next
        mov esi, edi
        call ecx                        ; old or new
.wait:  cmp [flag], esi
        jne .wait
        push ecx
        xor eax, eax
        cpuid
        pop ecx
        call ecx
        cmp eax, esi
        je .good
        inc dword [stale]
.good:  mov [answer], esi
        jmp .next

        bits 32
main:   call apic_on
        call enter_long
        bits 64
        mov ebp, APIC
        mov dword [rbp + 0x310], 1 << 24
        mov dword [rbp + 0x300], 0x4500 ; INIT, SIPI with page 01h
        mov ecx, 1000000
.pause: dec ecx
        jnz .pause
        mov dword [rbp + 0x310], 1 << 24
        mov dword [rbp + 0x300], 0x4601
.start: pause
        cmp qword [started], 0
        je .start
        topic "stores that are under way"
        mov ebx, PAGE_AT
        mov r14d, APIC
        mov r12d, 1
.round: mov dword [rbx + 64], 0xb8      ; MOV EAX, imm32; RET: no code is left in the page
        mov word [rbx + 68], 0xc300
        mov [rbx], r12
        mov [rbx], r12                  ; may be written without a word to anybody, now
        mov [go], r12
        call stores
        mov [flag], r12
.wait:  pause
        cmp [answer], r12
        jne .wait
        inc r12d
        cmp r12d, ROUNDS
        jbe .round
        is [stale], 0
        mov eax, r12d
        is rax, ROUNDS + 1
        finish

        align 64
stores: mov [rbx], r12
%rep 40
        mov eax, [r14 + 0x20]           ; takes its time
%endrep
        mov [rbx + 65], r12d
        mov [rbx + 128], r12
        ret
%include "end.inc"
