/* PVH entry (Xen's "x86/HVM direct boot ABI"): 32-bit flat protected mode, and from there to long mode (SDM vol 3 §9.8.5). */
        .section .note.pvh, "a", @note
        .long 4, 4, 18          /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .long _start
        .text
        .code32
        .globl _start
_start: mov $stack, %esp
        mov $pdpt + 3, %eax
        mov %eax, pml4
        mov $pdpt, %edi         /* four gigabytes, one page each of 2 MB times 512 */
        mov $pd + 3, %eax
        mov $4, %ecx
1:      mov %eax, (%edi)
        add $4096, %eax
        add $8, %edi
        loop 1b
        mov $pd, %edi
        mov $0x83, %eax
        mov $2048, %ecx
2:      mov %eax, (%edi)
        add $0x200000, %eax
        add $8, %edi
        loop 2b
        mov $0x20, %eax
        mov %eax, %cr4
        mov $pml4, %eax
        mov %eax, %cr3
        mov $0xc0000080, %ecx
        rdmsr
        or $0x100, %eax
        wrmsr
        mov %cr0, %eax
        or $0x80000000, %eax
        mov %eax, %cr0
        lgdt gdtr
        ljmp $8, $long_mode
        .code64
        .globl long_mode
long_mode:
        mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $stack, %rsp
        call kmain
3:      hlt
        jmp 3b
        .data
        .align 8
gdt:    .quad 0, 0x00209a0000000000, 0x0000920000000000
gdtr:   .word . - gdt - 1
        .long gdt
        .bss
        .align 4096
pml4:   .skip 4096
pdpt:   .skip 4096
pd:     .skip 16384
        .skip 16384
stack:
        .section .note.GNU-stack, "", @progbits
