/* Multiboot 1 header and entry (Multiboot 0.6.96 §3.1): 32-bit flat protected mode. */
        .section .head, "a"
        .align 4
        .long 0x1badb002, 0, -0x1badb002
        .text
        .globl _start
_start: mov $stack, %esp
        call kmain
1:      hlt
        jmp 1b
        .bss
        .align 16
        .skip 16384
stack:
        .section .note.GNU-stack, "", @progbits
