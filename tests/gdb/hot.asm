; A loop of four blocks that runs for ever in 64-bit code, for test_hot.py: where things are is at 60000h.
%define LONG
%include "start.inc"

TABLE   equ 0x60000                     ; addresses: the second block, its store, behind that, the number to be changed
COUNT   equ 0x60100
COPY    equ 0x61000                     ; in another page

        section .text
        bits 32
main:   call enter_long
        bits 64
        mov qword [TABLE], loop_.two
        mov qword [TABLE + 8], loop_.store
        mov qword [TABLE + 16], loop_.behind
        mov qword [TABLE + 24], loop_.third + 3
        mov ebx, COUNT
        mov ebp, COPY
        xor eax, eax
        xor esi, esi
        mov ecx, 1
        jmp loop_
        align 64
loop_:  inc qword [rbx]
        add rax, 1
        test ecx, ecx
        jz .out
.two:   mov rdx, [rbx]
.store: mov [rbp], rdx
.behind: mov [rbp + 8], rax
        test ecx, ecx
        jz .out
.third: db 0x48, 0x81, 0xc6, 1, 0, 0, 0 ; ADD RSI, 1
        test ecx, ecx
        jz .out
        jmp loop_
.out:   finish
%include "end.inc"
