; Guests for tests/unit/kvm-rescue.c, loaded at 0000:1000 as those of kvm-guest.asm: instructions that KVM's emulator lacks.
; Port 0x10 is a log, port 0x1e ends the test with a code.
bits 16
section .rodata

%macro GUEST 1
align 16
global guest_%1
global guest_%1_end
guest_%1:
%define BASE guest_%1
%endmacro
%macro GUEST_END 1
guest_%1_end:
%endmacro
%define AT(label) (label - BASE + 0x1000)
%macro DONE 1
    mov al, %1
    out 0x1e, al
%%stop:
    hlt
    jmp %%stop
%endmacro
CODE32 equ 0x08
DATA equ 0x10
CODE64 equ 0x18

GUEST fwait
    fninit
    fld1
    fwait
    fistp word [0x3000]
    fwait
    mov ax, [0x3000]
    out 0x10, ax
    DONE 1
GUEST_END fwait

; Each round changes the instruction behind FWAIT: whoever executes it must not have an old one in mind.
GUEST changing
    xor bx, bx
    mov cx, 500
.again:
    add word [AT(.change) + 1], 3
    fwait
.change:
    mov ax, 0
    add bx, ax
    loop .again
    mov ax, bx
    out 0x10, ax
    DONE 2
GUEST_END changing

; SSE into a device: two accesses of 8 bytes; and into memory.
GUEST vector
    mov eax, cr4
    or eax, 0x200                   ; OSFXSR
    mov cr4, eax
    movups xmm1, [AT(.data)]
    movups [0x3000], xmm1
    mov ax, 0xd000
    mov es, ax
    movups [es:0], xmm1
    movups xmm2, [es:0]
    movups [0x3010], xmm2
    DONE 3
align 16
.data:
    dq 0x1122334455667788, 0x99aabbccddeeff00
GUEST_END vector

%macro TABLES 0
align 8
.gdt:
    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
.gdtr:
    dw 31
    dd AT(.gdt)
%endmacro
%macro PROTECTED 0
    cli
    lgdt [AT(.gdtr)]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp CODE32:AT(.entry)
bits 32
.entry:
    mov ax, DATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x8000
%endmacro

; IRETD in protected mode, to the same privilege; then paging by a directory and a table, which some KVMs do not have either.
GUEST iret
    PROTECTED
    push 0x0ed7                     ; every arithmetic flag, DF
    push CODE32
    push AT(.target)
    iretd
    mov al, 99
    out 0x1e, al
.target:
    pushfd
    pop eax
    and eax, 0xcd5
    out 0x10, eax
    cld
    mov edi, 0x9000                 ; the first 4 MiB, but page 0x4000 is that at 0x5000
    mov eax, 7
    mov ecx, 1024
.fill:
    mov [edi], eax
    add eax, 0x1000
    add edi, 4
    loop .fill
    mov dword [0x9000 + 4 * 4], 0x5007
    mov dword [0xa000], 0x9007
    mov eax, 0xa000
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov dword [0x4000], 0x600df00d
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov eax, [0x5000]
    out 0x10, eax
    DONE 4
    TABLES
bits 16
GUEST_END iret

; 64-bit code: CMPXCHG16B, both ways, and the end by IRETQ.
GUEST wide
    PROTECTED
    xor eax, eax
    mov edi, 0x9000
    mov ecx, 0x3000 / 4
    cld
    rep stosd
    mov dword [0x9000], 0xa007
    mov dword [0xa000], 0xb007
    mov dword [0xb000], 0x87        ; 2 MiB
    mov eax, 0x9000
    mov cr3, eax
    mov eax, cr4
    or al, 0x20
    mov cr4, eax
    mov ecx, 0xc0000080
    rdmsr
    or ah, 1
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    jmp CODE64:AT(.long)
bits 64
.long:
    mov rsp, 0x8000
    mov r8d, 300
.again:
    mov rax, [0x3000]
    mov rdx, [0x3008]
    lea rbx, [rax + 1]
    lea rcx, [rdx + 2]
    lock cmpxchg16b [0x3000]
    jnz .bad
    dec r8d
    jnz .again
    lock cmpxchg16b [0x3000]        ; RDX:RAX is one behind
    jz .bad
    cmp rax, 300
    jne .bad
    cmp rdx, 600
    jne .bad
    mov rax, rsp
    push DATA
    push rax
    push 2
    push CODE64
    push AT(.end)
    iretq
.bad:
    DONE 99
.end:
    DONE 5
    TABLES
bits 16
GUEST_END wide

; Counts for long, without a word to anybody.
GUEST silent
    mov ecx, 30000000
.again:
    dec ecx
    jnz .again
    DONE 6
GUEST_END silent

section .note.GNU-stack noalloc noexec nowrite progbits
