; Guests for tests/unit/debug.c, which are debugged: each runs at 0000:1000, as those of kvm-guest.asm do.  Marks are places that the
; test knows.  The same body runs in real, protected and long mode; its data is at 0x3000.
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
%macro MARK 1
global %[BASE].%1
.%1:
%endmacro
%macro DONE 1
    mov al, %1
    out 0x1e, al
%%stop:
    hlt
    jmp %%stop
%endmacro

; %1: RAX, as wide as what the stack holds.
%macro BODY 1
    mov dword [0x3000], 0
    mov ecx, 10
MARK loop
%%again:
    inc dword [0x3000]
MARK load
    mov eax, [0x3004]
    dec ecx
    jnz %%again
MARK rep
    mov ecx, 100
    mov edi, 0x3100
    mov al, 0x5a
MARK stos
    rep stosb
MARK cross
    mov dword [0x3ffe], 0x11223344
MARK behind
    nop
MARK flags
    pushf
    pop %1
MARK int
    int 0x30
MARK int_end
    nop
MARK ud
    ud2                             ; its handler steps over it
MARK ud_end
    mov ecx, 2
MARK change                         ; the first byte of "store" becomes that of MOV AL, imm8, and back
    mov byte [AT(%%store)], 0xb0
MARK store
%%store:
    mov bl, 7
    xchg al, bl
    mov byte [AT(%%store)], 0xb3
    dec ecx
    jnz %%store
    lock add dword [0x3008], 1
MARK locked
    nop
    DONE 1
%endmacro

GUEST real
    mov word [0x30 * 4], AT(.handler)
    mov word [0x30 * 4 + 2], 0
    mov word [6 * 4], AT(.invalid)
    mov word [6 * 4 + 2], 0
    mov word [0x21 * 4], AT(.irq)
    mov word [0x21 * 4 + 2], 0
MARK start
    BODY ax
MARK handler
    inc byte [0x3010]
    iret
MARK invalid
    push bp
    mov bp, sp
    add word [bp + 2], 2
    pop bp
    iret
MARK irq
    inc byte [0x3011]
    iret
GUEST_END real

%macro GATE32 2                     ; vector, handler
    mov eax, %2
    mov [0x5000 + 8 * %1], ax
    mov word [0x5002 + 8 * %1], 8
    mov word [0x5004 + 8 * %1], 0x8e00
    mov word [0x5006 + 8 * %1], 0
%endmacro

GUEST protected
    cli
    GATE32 0x30, AT(.handler)
    GATE32 6, AT(.invalid)
    GATE32 0x21, AT(.irq)
    lgdt [AT(.gdt)]
    lidt [AT(.idt)]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp 8:AT(.flat)
bits 32
.flat:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x8000
MARK start
    BODY eax
MARK handler
    inc byte [0x3010]
    iret
MARK invalid
    add dword [esp], 2
    iret
MARK irq
    inc byte [0x3011]
    iret
align 8
.gdt:
    dw 23
    dd AT(.gdt)
    dw 0
    dw 0xffff, 0, 0x9b00, 0x00cf
    dw 0xffff, 0, 0x9300, 0x00cf
.idt:
    dw 0x3ff
    dd 0x5000
bits 16
GUEST_END protected

%macro GATE64 2
    mov eax, %2
    mov [0x5000 + 16 * %1], ax
    mov word [0x5002 + 16 * %1], 8
    mov word [0x5004 + 16 * %1], 0x8e00
    mov word [0x5006 + 16 * %1], 0
    mov dword [0x5008 + 16 * %1], 0
%endmacro

; Long mode; tables at 0x10000 map the first 2 MiB to themselves, and 0x40000000 to the same memory.
%macro ENTER_LONG 0
    cli
    GATE64 0x30, AT(.handler)
    GATE64 6, AT(.invalid)
    GATE64 0x21, AT(.irq)
    mov ax, 0x1000
    mov es, ax
    mov dword [es:0x0000], 0x11003
    mov dword [es:0x1000], 0x12003
    mov dword [es:0x1008], 0x12003
    mov eax, 0x13003
    mov dword [es:0x2000], eax      ; 4K pages, so that a page can be taken away
    xor di, di
    mov eax, 3
%%fill:
    mov [es:di + 0x3000], eax
    add eax, 0x1000
    add di, 8
    cmp di, 4096
    jb %%fill
    xor ax, ax
    mov es, ax
    lgdt [AT(.gdt)]
    lidt [AT(.idt)]
    mov eax, 0x20
    mov cr4, eax
    mov eax, 0x10000
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or ah, 1
    wrmsr
    mov eax, cr0
    or eax, 0x80000001
    mov cr0, eax
    jmp 8:AT(%%wide)
bits 64
%%wide:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x8000
%endmacro
%macro LONG_TABLES 0
align 8
.gdt:
    dw 23
    dd AT(.gdt)
    dw 0
    dw 0xffff, 0, 0x9b00, 0x00af
    dw 0xffff, 0, 0x9300, 0x00cf
.idt:
    dw 0x3ff
    dd 0x5000
bits 16
%endmacro

GUEST long
    ENTER_LONG
    mov eax, 0x40000000 + AT(.start)
    jmp rax
MARK start
    BODY rax
MARK handler
    inc byte [0x3010]
    iretq
MARK invalid
    add qword [rsp], 2
    iretq
MARK irq
    inc byte [0x3011]
    iretq
    LONG_TABLES
GUEST_END long

; Each instruction has 64 bytes of its own at 0x6000, in the order of tests/unit/debug.c's table of what it reads and writes.
%assign cell_next 0x6000
%macro CELL 1+
%define CELL_HERE cell_next
    %1
%assign cell_next cell_next + 64
%endmacro
GUEST accesses
    ENTER_LONG
    mov rax, cr0
    and al, 0xf3
    or al, 2
    mov cr0, rax
    mov rax, cr4
    or ax, 0x600
    mov cr4, rax
    xor eax, eax
    xor edx, edx
    pxor xmm0, xmm0
    cld
    CELL mov eax, [CELL_HERE]
    CELL mov [CELL_HERE], eax
    CELL add [CELL_HERE], eax
    CELL add eax, [CELL_HERE]
    CELL cmp byte [CELL_HERE], 0
    CELL not word [CELL_HERE]
    CELL push qword [CELL_HERE]
    CELL pop qword [CELL_HERE]
    CELL xchg [CELL_HERE], rax
    CELL lock inc qword [CELL_HERE]
    CELL lock xadd [CELL_HERE], edx
    CELL cmpxchg [CELL_HERE], edx
    CELL lock cmpxchg [CELL_HERE], rdx
    CELL cmpxchg8b [CELL_HERE]
    CELL lock cmpxchg16b [CELL_HERE]
    CELL bts dword [CELL_HERE], 0
    CELL bt dword [CELL_HERE], 0
    CELL setz [CELL_HERE]
    CELL shl dword [CELL_HERE], 3
    CELL movdqa xmm0, [CELL_HERE]
    CELL movdqa [CELL_HERE], xmm0
    CELL movups [CELL_HERE], xmm0
    CELL paddb xmm0, [CELL_HERE]
    CELL movss xmm1, [CELL_HERE]
    CELL movsd [CELL_HERE], xmm1
    CELL cvtsi2sd xmm1, dword [CELL_HERE]
    fninit
    CELL fld qword [CELL_HERE]
    CELL fstp tword [CELL_HERE]
    CELL fnstcw [CELL_HERE]
    CELL sgdt [CELL_HERE]
    mov esi, 0x1000
    CELL mov edi, CELL_HERE
    movsb
    mov edi, 0x5000
    CELL mov esi, CELL_HERE
    movsq
    CELL mov edi, CELL_HERE
    mov ecx, 16
    rep stosb
    mov edi, 0x5000
    CELL mov esi, CELL_HERE
    mov ecx, 16
    rep movsb
    CELL mov edi, CELL_HERE
    mov ecx, 16
    mov al, 0xee
    repne scasb
    CELL mov esi, CELL_HERE
    lodsb
    mov rbx, rsp
    CELL mov esp, CELL_HERE + 8
    push rax
    CELL mov esp, CELL_HERE
    pop rax
    CELL mov esp, CELL_HERE + 8
    call .here
.here:
    CELL mov esp, CELL_HERE
    mov qword [rsp], AT(.there)
    ret
.there:
    CELL mov esp, CELL_HERE + 64
    int 0x30
    mov rsp, rbx
    CELL lea eax, [CELL_HERE]
    CELL nop dword [CELL_HERE]
    pcmpeqb xmm2, xmm2
    psrldq xmm2, 15                 ; the lowest byte only
    CELL mov edi, CELL_HERE
    maskmovdqu xmm0, xmm2
    DONE 5
.handler:
.invalid:
.irq:
    iretq
    LONG_TABLES
GUEST_END accesses

; Interrupt 0x21 counts; the main program counts too.
GUEST busy
    mov word [0x21 * 4], AT(.irq)
    mov word [0x21 * 4 + 2], 0
    sti
MARK again
    inc dword [0x3000]
MARK jump
    jmp .again
MARK irq
    inc dword [0x3010]
    iret
GUEST_END busy

; Sleeps until interrupt 0x21.
GUEST sleepy
    mov word [0x21 * 4], AT(.irq)
    mov word [0x21 * 4 + 2], 0
    sti
MARK halt
    hlt
MARK awake
    nop
    DONE 3
MARK irq
    inc dword [0x3010]
    iret
GUEST_END sleepy

; Another CPU, at 0000:2000: counts by itself.
GUEST other
    inc dword [cs:0x1004]           ; 0x2000 + 0x1004
    jmp guest_other
GUEST_END other

section .note.GNU-stack noalloc noexec nowrite progbits
