; Every mode, and the ways between them: real, protected 16 and 32, PAE, long, compatibility,
; virtual-8086, and back.
%define LONG
%include "start.inc"

        absolute user_vars
where:  resq 1
value:  resq 2

        section .text
        bits 32
main:
        topic "real mode"
        mov dword [where], 0
        real in_real
        is [where], 0x8086
        smsw ax
        and eax, 1
        is eax, 1

        topic "real mode, wrap of a segment"
        real real_limits

        topic "unreal mode"             ; limits of segments survive the way to real mode (SDM vol 3 §9.9.2)
        real unreal

        topic "16-bit protected mode"
        jmp CODE16:in_16
from_16:
        is [where], 0x286
        mov eax, DATA
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, STACK

        topic "addresses and operands in 16-bit and 32-bit code"
        mov ebx, 0x12340000 | value
        mov dword [value], 0xaabbccdd
        a16 mov eax, [bx]               ; the upper half of EBX takes no part
        is eax, 0xaabbccdd
        mov eax, -1
        mov ax, 0x1234
        is eax, 0xffff1234
        mov ecx, 0x10001
        mov edx, 0
        db 0x67                         ; LOOP by CX
        loop .not
        inc edx
.not:   is edx, 1
        is ecx, 0x10000
        xor eax, eax
        a16 jcxz .cx
        inc eax
.cx:    is eax, 0

        topic "stack width"
        mov eax, DATA16                 ; B = 0: pushes move SP only
        mov ss, eax
        mov esp, 0x5a0000 | 0x8000
        push dword 0x11223344
        mov ebx, esp
        mov eax, DATA
        mov ss, eax
        mov esp, STACK
        is ebx, 0x5a7ffc
        is [0x7ffc], 0x11223344

        topic "PAE paging"
        mov dword [PDPT], PDS | 1
        mov dword [PDPT + 4], 0
        mov dword [PDPT + 8], (PDS + 0x1000) | 1
        mov dword [PDPT + 12], 0
        xor eax, eax
        mov edi, PDPT + 16
        stosd
        stosd
        stosd
        stosd
        mov dword [PDS], 0x83           ; 2 MiB at 0
        mov dword [PDS + 8], 0x200083
        mov dword [PDS + 0x1000], 0x83  ; 2 MiB at 40000000h: the same memory
        mov eax, PDPT
        mov cr3, eax
        mov eax, cr4
        or eax, 0x20
        mov cr4, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov dword [0x40000000 + value], 77
        is [value], 77
        fault PF, 2, {mov [0x600000], eax}
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov eax, cr4
        and eax, ~0x20
        mov cr4, eax
        mov edi, PDPT
        xor eax, eax
        mov ecx, 0x3000 / 4
        rep stosd

        topic "virtual-8086 mode"
        mov dword [where], 0
        v86 in_v86, 0x23002             ; IOPL 3: INT n goes to the IDT
        caught BACK, NO_ERROR, in_v86.end
        is [where], 0x86
        is [exc_cs], 0
        mov eax, [exc_flags]
        and eax, 0x23000
        is eax, 0x23000
        is [exc_ss], 0
        is [exc_sp], REAL_STACK

        has 0x80000001, 0, edx, 29
        jnz long_modes
        left_out "long mode"
        finish

long_modes:
        topic "long mode"
        call enter_long
        bits 64
        mov ecx, 0xc0000080
        rdmsr
        and eax, 0x500
        is rax, 0x500                   ; LMA and LME
        mov rax, 0x123456789abcdef0
        mov eax, eax
        mov rbx, 0x9abcdef0
        is rax, rbx
        mov r15, -1
        mov r15w, 0x55
        mov rbx, 0xffffffffffff0055
        is r15, rbx
        lea rax, [rel $ + 0]
.here:  lea rbx, [rel .here]
        sub rbx, rax
        is rbx, 7
        mov ebx, value
        mov dword [value], 0x13579bdf
        mov r8d, [ebx]                  ; 67h: a 32-bit address
        mov rcx, 0x13579bdf
        is r8, rcx
        mov rax, 0xff00000000000000 | value
        mov esi, eax
        fault GP, 0, {mov ecx, [rax]}   ; not canonical
        mov rbp, rax
        fault SS_, 0, {mov ecx, [rbp]}
        mov byte [IDT64 + 16 * SS_ + 4], 1      ; a stack of its own
        mov rdx, rsp
        mov rsp, rax
        expect .stack
        mov [recover_sp], rdx
.push:  push rax
        mov dword [recover], 0
.stack: mov rsp, rdx
        caught SS_, 0, .push

        topic "leaving long mode is refused from 64-bit code"
        mov rax, cr0
        btr rax, 31
        fault GP, 0, {mov cr0, rax}     ; CS.L is set
        mov rax, cr4
        btr rax, 5
        fault GP, 0, {mov cr4, rax}
        mov ecx, 0xc0000080
        rdmsr
        btr eax, 8
        fault GP, 0, {wrmsr}            ; LME with paging on

        topic "64-bit code knows fewer instructions"
        fault UD, NO_ERROR, {db 0x27}   ; DAA
        fault UD, NO_ERROR, {db 0x06}   ; PUSH ES
        fault UD, NO_ERROR, {db 0x60}   ; PUSHA
        fault UD, NO_ERROR, {db 0xce}   ; INTO
        fault UD, NO_ERROR, {db 0xd4, 0x0a}
        fault UD, NO_ERROR, {db 0x9a, 0, 0, 0, 0, 0, 0}
        fault UD, NO_ERROR, {db 0xea, 0, 0, 0, 0, 0, 0}
        fault UD, NO_ERROR, {db 0xc5, 0x07}
        fault UD, NO_ERROR, {db 0x82, 0xc0, 0x01}
        fault UD, NO_ERROR, {db 0xd6}   ; SALC

        topic "compatibility mode, 32 bits"
        mov rbx, 0x1122334455667788
        mov r8, 0x99
        mov [value], rsp
        jmp far dword [.compat32]
.compat32: dd in_compat32, CODE32
        bits 32
in_compat32:
        mov eax, 0x40000000
        db 0x48                         ; DEC EAX here, REX.W there
        is eax, 0x3fffffff
        mov dword [where], 0x386
        mov eax, -1
        inc eax                         ; 40h
        is eax, 0
        fault UD, NO_ERROR, {ud2}       ; comes back here through a 64-bit handler
        is [exc_cs], CODE32
        daa
        pushad
        popad
        mov ecx, 0xc0000080
        rdmsr
        and eax, 0x400
        is eax, 0x400

        topic "compatibility mode, 16 bits"
        jmp CODE16:in_compat16
        bits 16
in_compat16:
        mov eax, 0xffff0000
        inc ax
        is eax, 0xffff0001
        fault UD, NO_ERROR, {ud2}
        is [exc_cs], CODE16
        jmp dword CODE64:from_compat
        bits 64
from_compat:
        mov rsp, [value]
        is [where], 0x386

        topic "compatibility mode at CPL 3"
        expect .after
        push UDATA | 3
        push USER_STACK
        push 2
        push UCODE32 | 3
        push user_compat
        iretq
.after: caught BACK, NO_ERROR, user_compat.end
        is [exc_cs], UCODE32 | 3
        is [exc_ss], UDATA | 3
        is rbx, 0x55
        topic "64-bit code at CPL 3"
        user user_64
        caught GP, 0, user_64.hlt
        is [exc_cs], UCODE64 | 3
        is [exc_sp], USER_STACK

        topic "back to protected and real mode"
        call leave_long
        bits 32
        mov ecx, 0xc0000080
        rdmsr
        and eax, 0x500
        is eax, 0
        mov dword [where], 0
        real in_real
        is [where], 0x8086
        finish

user_compat:
        mov ebx, 0x55
        inc ebx
        dec ebx
        int BACK
.end:
        bits 64
user_64: nop
.hlt:   hlt

        bits 16
in_real:
        smsw ax
        test al, 1
        jnz .wrong
        mov word [where], 0x8086
        mov ax, 0x1000                  ; a segment is a paragraph
        mov es, ax
        mov dword [es:0x20], 0xfeedf00d
        mov ax, 0x1002
        mov es, ax
        mov eax, [es:0]
        is eax, 0xfeedf00d
        mov ax, cs
        movzx eax, ax
        is eax, 0
        push sp                         ; since the 80286: SP before the push
        pop ax
        movzx eax, ax
        lea ebx, [esp]
        is eax, ebx
        call 0:.far
        is eax, 0x4321
        mov byte [value], 0
        mov word [0x68 * 4], .handler
        mov word [0x68 * 4 + 2], 0
        sti
        int 0x68
        pushf
        cli
        pop bx
        shr bx, 9
        and ebx, 1
        is ebx, 1                       ; IRET gave IF back
        movzx eax, byte [value]
        is eax, 0x11
.wrong: ret
.far:   mov eax, 0x4321
        retf
.handler:
        mov byte [value], 0x11
        pushf
        pop ax
        test ah, 2
        jz .clear
        mov byte [value], 0x22
.clear: iret

real_limits:
        fault GP, NO_ERROR, {mov eax, [0xfffd]}
        fault GP, NO_ERROR, {mov ax, [0xffff]}
        mov bx, 0xffff
        mov si, 2
        mov byte [1], 0x99
        mov al, [bx + si]               ; offsets wrap at 64 KiB
        movzx eax, al
        is eax, 0x99
        mov eax, 0x10000
        fault GP, NO_ERROR, {mov cl, [eax]}
        ret

unreal:
        lgdt [gdt_pointer_low]
        mov eax, cr0
        inc ax
        mov cr0, eax
        mov bx, DATA
        mov fs, bx
        dec ax
        mov cr0, eax
        mov dword [dword fs:0x200000], 0x600df00d
        mov ebx, 0x200000
        mov eax, [fs:ebx]
        is eax, 0x600df00d
        xor ax, ax
        mov fs, ax                      ; base is new, the limit stays
        mov eax, [fs:ebx]
        is eax, 0x600df00d
        ret

in_16:  mov ax, DATA16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, REAL_STACK
        mov dword [where], 0x286
        mov eax, 0x5a5a0000
        dec ax
        is eax, 0x5a5affff
        mov ax, 0x1111
        push ax
        pop cx
        movzx ecx, cx
        is ecx, 0x1111
        mov ebx, esp
        and ebx, 0xffff
        is ebx, REAL_STACK
        mov ebx, 0x10000
        fault GP, 0, {mov eax, [ebx]}   ; DS has a limit of FFFFh
        is [exc_cs], CODE16
        jmp dword CODE32:from_16

in_v86: mov dword [where], 0x86
        mov ax, 0x1000
        mov ds, ax
        mov dword [0], 0x600df00d
        push ds
        pop es
        mov ax, 0
        mov ds, ax
        int BACK
.end:
%include "end.inc"
