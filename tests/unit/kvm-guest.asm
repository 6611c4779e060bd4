; Guests for tests/unit/kvm.c: real-mode code that runs at 0000:1000, entered with DS = ES = SS = 0 and SP = 0x8000.
; Port 0x10 is a log of bytes, words and dwords; port 0x1e ends the test with a code.
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

GUEST ports
    mov al, 0x11
    out 0x10, al
    mov ax, 0x2222
    out 0x10, ax
    mov eax, 0x33333333
    out 0x10, eax
    in al, 0x14                     ; reads answer 0xa0 + offset in each byte
    out 0x10, al
    in ax, 0x14
    out 0x10, ax
    in eax, 0x14
    out 0x10, eax
    DONE 1
GUEST_END ports

GUEST strings
    cld
    mov si, AT(.text)
    mov cx, 5
    mov dx, 0x10
    rep outsb
    mov di, 0x3000
    mov cx, 300
    mov dx, 0x18                    ; a counter
    rep insb
    mov di, 0x3200
    mov cx, 4
    mov dx, 0x18
    rep insw
    std
    mov si, AT(.text) + 4
    mov cx, 5
    mov dx, 0x10
    rep outsb
    cld
    DONE 2
.text: db "hello"
GUEST_END strings

; The window at 0xd0000 answers reads with 0x40 + offset in each byte and logs writes.
GUEST mmio
    mov ax, 0xd000
    mov es, ax
    mov byte [es:0], 0x11
    mov word [es:2], 0x2222
    mov dword [es:4], 0x33333333
    mov word [es:7], 0x4455         ; not aligned
    mov al, [es:1]
    mov [0x3000], al
    mov ax, [es:2]
    mov [0x3002], ax
    mov eax, [es:4]
    mov [0x3004], eax
    mov cx, 3
    mov di, 0x10
    mov al, 0x77
    cld
    rep stosb
    push ds
    push es
    pop ds
    pop es
    mov si, 0x20                    ; window to memory
    mov di, 0x3010
    mov cx, 4
    rep movsb
    xor ax, ax
    mov ds, ax
    DONE 3
GUEST_END mmio

; Interrupt 0x21 and NMI count in memory; sleeps until told to go on by bit 7 of port 0x14's answer... the host raises.
GUEST interrupts
    mov word [0x21 * 4], AT(.irq)
    mov word [0x21 * 4 + 2], 0
    mov word [2 * 4], AT(.nmi)
    mov word [2 * 4 + 2], 0
    mov al, 1
    out 0x10, al                    ; ready for the interrupt
.wait:
    sti
    hlt
    cli
    cmp byte [0x3000], 3
    jb .wait
    mov al, 2
    out 0x10, al                    ; ready for the NMI, with interrupts off
.wait_nmi:
    hlt
    cmp byte [0x3001], 1
    jb .wait_nmi
    DONE 4
.irq:
    inc byte [0x3000]
    push ax
    mov al, 0x10
    out 0x10, al
    pop ax
    iret
.nmi:
    inc byte [0x3001]
    iret
GUEST_END interrupts

; Its own port write raises the interrupt; the window for it is two instructions wide, as in firmware that waits for a disk.
GUEST window
    mov word [0x21 * 4], AT(.irq)
    mov word [0x21 * 4 + 2], 0
    cli
    mov bl, 0
.again:
    inc bl
    out 0x1a, al
.wait:
    sti
    nop
    pause
    cli
    cmp [0x3000], bl
    jb .wait
    cmp bl, 20
    jb .again
    DONE 12
.irq:
    inc byte [0x3000]
    iret
GUEST_END window

; The interrupt is there before the HLT that waits for it: it must come before the CLI behind.
GUEST halt_pending
    mov word [0x21 * 4], AT(.irq)
    mov word [0x21 * 4 + 2], 0
    cli
    mov bl, 0
.again:
    inc bl
    out 0x1a, al
    sti
    hlt
    cli
    cmp [0x3000], bl
    jne .bad
    cmp bl, 20
    jb .again
    DONE 13
.bad:
    DONE 99
.irq:
    inc byte [0x3000]
    iret
GUEST_END halt_pending

; Programs the 8259s and counter 0 of the 8254, as firmware does.
GUEST chips
    mov al, 0x11
    out 0x20, al
    out 0xa0, al
    mov al, 0x08
    out 0x21, al
    mov al, 0x70
    out 0xa1, al
    mov al, 4
    out 0x21, al
    mov al, 2
    out 0xa1, al
    mov al, 1
    out 0x21, al
    out 0xa1, al
    mov al, 0xb9
    out 0x21, al
    mov al, 0x8f
    out 0xa1, al
    mov al, 0x0c
    mov dx, 0x4d1
    out dx, al
    mov al, 0x34
    out 0x43, al
    mov al, 0x45
    out 0x40, al
    mov al, 0x23
    out 0x40, al
    DONE 14
GUEST_END chips

; An exception in protected mode with an empty interrupt table.
GUEST triple
    mov al, 5
    out 0x10, al
    cli
    lidt [AT(.none)]
    lgdt [AT(.gdt)]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp 8:AT(.protected)
.protected:
    mov bx, 0x40                    ; beyond the table: #GP
    mov ds, bx
    hlt
.none:
    dw 0
    dd 0
.gdt:
    dw 15
    dd AT(.gdt)
    dw 0
    dw 0xffff, 0, 0x9b00, 0
GUEST_END triple

; Buffered writes to the window at 0xd1000, in between an ordinary port write: the order must hold.
GUEST coalesced
    mov ax, 0xd100
    mov es, ax
    mov al, 0
.again:
    mov [es:0], al
    inc al
    mov [es:1], al
    inc al
    out 0x10, al
    cmp al, 200
    jb .again
    DONE 6
GUEST_END coalesced

GUEST dirty
    mov byte [0x4000], 1
    mov byte [0x6fff], 1
    mov word [0x8fff], 0x0101
    DONE 7
GUEST_END dirty

GUEST spin
.again:
    inc dword [0x3000]
    jmp .again
GUEST_END spin

GUEST spin_out
.again:
    inc dword [0x3000]
    out 0x12, al
    in al, 0x14
    mov cx, 3
    mov di, 0x3800
    mov dx, 0x18
    rep insb
    jmp .again
GUEST_END spin_out

GUEST halt
    cli
.again:
    hlt
    jmp .again
GUEST_END halt

; The first CPU starts the second by the local APIC at 0xfee00000, reached with 32-bit addresses from "unreal" mode.
GUEST smp
    cli
    lgdt [AT(.gdt)]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp $ + 2
    mov bx, 8
    mov fs, bx
    and al, 0xfe
    mov cr0, eax
    jmp $ + 2
    mov dword [dword 0x5000], 0
    mov esi, 0xfee00300
    mov dword [fs:esi], 0x000c4500  ; INIT to all but self
    mov cx, 200
.delay:
    loop .delay
    mov dword [fs:esi], 0x000c4602  ; SIPI to 0x2000
.wait:
    cmp byte [0x5000], 1
    jne .wait
    DONE 8
.gdt:
    dw 15
    dd AT(.gdt)
    dw 0
    dw 0xffff, 0, 0x9200, 0x00cf
GUEST_END smp

GUEST ap                            ; at 0x2000
    xor ax, ax
    mov ds, ax
    mov byte [0x5000], 1
.halt:
    cli
    hlt
    jmp .halt
GUEST_END ap

; Flips a segment between ROM and RAM by port 0x1c, as a PAM register does, and looks at it.
GUEST pam
    mov ax, 0xe000
    mov es, ax
    mov cx, 50
.again:
    mov al, 1                       ; writable memory
    out 0x1c, al
    mov [es:0], cl
    mov al, 0                       ; ROM: reads 0xee, writes are lost
    out 0x1c, al
    mov byte [es:0], 0x55
    mov al, [es:0]
    cmp al, 0xee
    jne .bad
    mov al, 1
    out 0x1c, al
    cmp [es:0], cl
    jne .bad
    mov al, 2                       ; memory that only reads
    out 0x1c, al
    mov byte [es:0], 0x66
    cmp [es:0], cl
    jne .bad
    loop .again
    DONE 9
.bad:
    DONE 99
GUEST_END pam

GUEST doorbell
    mov ax, 0xd200
    mov es, ax
    mov dword [es:0], 0x1234        ; does not match
    mov dword [es:0], 0x5678        ; rings
    mov ax, 7
    out 0x16, ax                    ; rings
    DONE 10
GUEST_END doorbell

GUEST steps
    nop
    nop
    mov ax, 0x1234
    mov [0x3000], ax
    inc ax
    mov bx, ax
    DONE 11
GUEST_END steps

; Loads registers of every kind, then stops at a port so that the host can look.
GUEST bad
    mov al, 1
    out 0x10, al
    db 0x0f, 0x0b                   ; UD2 with no handler for it but a triple fault
GUEST_END bad

section .note.GNU-stack noalloc noexec nowrite progbits
