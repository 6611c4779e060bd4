; Virtual-8086 mode: what IOPL guards, the port bitmap, limits, and the virtual interrupt flag with
; its redirection (VME), and its like in protected mode, PVI (SDM vol 3 ch. 20).
%include "start.inc"

REDIRECT equ TSS32 + 104                ; 32 bytes below the port bitmap
PORTS   equ TSS32 + 136
FLAGS   equ 0x20002
IF_     equ 0x200
IOPL3   equ 0x3000
VIF     equ 0x80000
VIP     equ 0x100000

        absolute user_vars
value:  resd 4
v_flags: resd 1
v_seen: resd 4

        section .text
        bits 32
; back LABEL: it came through to the INT 30h before that label; refused LABEL: #GP(0) there
%macro back_ 2
        caught_ %1, BACK, NO_ERROR, %2
%endmacro
%define back back_ __LINE__,
%macro refused_ 2
        caught_ %1, GP, 0, %2
%endmacro
%define refused refused_ __LINE__,
%macro flags_are 2                      ; mask, value: of the interrupted code
        mov eax, [exc_flags]
        and eax, %1
        is eax, %2
%endmacro

main:
        mov word [TSS32 + 102], 136
        mov edi, REDIRECT
        mov ecx, 8
        mov eax, -1
        rep stosd                       ; no redirection

        topic "IOPL 3"
        v86 vm.cli, FLAGS | IOPL3 | IF_
        back vm.end_cli
        flags_are IF_, 0
        v86 vm.sti, FLAGS | IOPL3
        back vm.end_sti
        flags_are IF_, IF_
        v86 vm.pushf, FLAGS | IOPL3 | IF_
        back vm.end_pushf
        movzx eax, word [REAL_STACK - 2]
        is eax, 0x3202
        v86 vm.pushfd, FLAGS | IOPL3 | IF_
        back vm.end_pushfd
        is [REAL_STACK - 4], 0x3202     ; without VM and RF
        v86 vm.popf, FLAGS | IOPL3
        back vm.end_popf
        flags_are 0x23200, 0x23200      ; neither IOPL nor VM change
        v86 vm.popfd, FLAGS | IOPL3
        back vm.end_popfd
        flags_are 0x3b3200, 0x223200    ; ID does; VIF and VIP do not
        v86 vm.iret, FLAGS | IOPL3
        back vm.end_iret
        flags_are 0x23ad5, 0x232d5
        v86 vm.iretd, FLAGS | IOPL3
        back vm.end_iretd
        flags_are 0x23000, 0x23000
        v86 vm.int3, FLAGS | IOPL3
        caught GP, 3 * 8 + 2, vm.int3   ; DPL of the gate
        mov byte [IDT32 + 8 * 3 + 5], 0xee
        v86 vm.int3, FLAGS | IOPL3
        caught BP_, NO_ERROR, vm.after_int3

        topic "IOPL 0"
        v86 vm.cli, FLAGS
        refused vm.cli
        v86 vm.sti, FLAGS
        refused vm.sti
        v86 vm.pushf, FLAGS
        refused vm.pushf
        v86 vm.pushfd, FLAGS
        refused vm.pushfd
        v86 vm.popf, FLAGS
        refused vm.at_popf
        is [exc_sp], REAL_STACK - 2
        v86 vm.popfd, FLAGS
        refused vm.at_popfd
        v86 vm.iret, FLAGS
        refused vm.at_iret
        is [exc_sp], REAL_STACK - 6
        v86 vm.int30, FLAGS
        refused vm.int30
        v86 vm.int3, FLAGS              ; INT3 does not ask for IOPL
        caught BP_, NO_ERROR, vm.after_int3
        v86 vm.ud, FLAGS
        caught UD, NO_ERROR, vm.ud
        mov byte [IDT32 + 8 * 3 + 5], 0x8e

        topic "what no IOPL allows"
        v86 vm.hlt, FLAGS | IOPL3
        refused vm.hlt
        v86 vm.lgdt, FLAGS | IOPL3
        refused vm.lgdt
        v86 vm.cr0, FLAGS | IOPL3
        refused vm.cr0
        v86 vm.dr, FLAGS | IOPL3
        refused vm.dr
        v86 vm.clts, FLAGS | IOPL3
        refused vm.clts
        v86 vm.rdmsr, FLAGS | IOPL3
        refused vm.rdmsr
        v86 vm.lldt, FLAGS | IOPL3
        caught UD, NO_ERROR, vm.lldt
        v86 vm.lar, FLAGS | IOPL3
        caught UD, NO_ERROR, vm.lar
        v86 vm.arpl, FLAGS | IOPL3
        caught UD, NO_ERROR, vm.arpl
        v86 vm.smsw, FLAGS | IOPL3
        back vm.end_smsw

        topic "ports"
        v86 vm.in, FLAGS | IOPL3
        back vm.end_in
        v86 vm.in, FLAGS
        refused vm.int_in               ; IN went well: the bitmap alone decides
        mov byte [PORTS + 0x80 / 8], 1
        v86 vm.in, FLAGS | IOPL3
        refused vm.in
        mov byte [PORTS + 0x80 / 8], 0

        topic "segments"
        v86 vm.segment, FLAGS | IOPL3
        back vm.end_segment
        is [0x60010], 0x600df00d
        v86 vm.limit, FLAGS | IOPL3
        refused vm.at_limit
        v86 vm.stack_limit, FLAGS | IOPL3
        caught SS_, 0, vm.at_stack_limit
        v86 vm.offset, FLAGS | IOPL3
        refused vm.at_offset
        v86 vm.far, FLAGS | IOPL3
        back vm.end_far

        topic "VME"
        has 1, 0, edx, 1
        jnz .vme
        left_out "VME"
        finish
.vme:   mov eax, cr4
        or eax, 1
        mov cr4, eax
        v86 vm.cli, FLAGS | IF_ | VIF
        refused vm.int_cli              ; INT 30h is not redirected, and IOPL is 0
        flags_are IF_ | VIF, IF_
        v86 vm.sti, FLAGS
        refused vm.int_sti
        flags_are IF_ | VIF, VIF
        v86 vm.sti, FLAGS | VIP
        refused vm.sti                  ; an interrupt is waiting
        v86 vm.cli, FLAGS | VIP
        refused vm.int_cli
        flags_are VIP | VIF, VIP
        v86 vm.pushf, FLAGS | VIF
        refused vm.int_pushf
        movzx eax, word [REAL_STACK - 2]
        is eax, 0x3202                  ; VIF as IF, and IOPL 3
        v86 vm.pushf, FLAGS | IF_
        refused vm.int_pushf
        movzx eax, word [REAL_STACK - 2]
        is eax, 0x3002
        v86 vm.pushfd, FLAGS
        refused vm.pushfd
        v86 vm.popf, FLAGS
        refused vm.int_popf
        flags_are 0xa3200, VIF | 0x20000        ; IF of the image goes to VIF
        v86 vm.popf, FLAGS | VIP
        refused vm.at_popf
        v86 vm.popf_tf, FLAGS
        refused vm.at_popf_tf
        v86 vm.popfd, FLAGS
        refused vm.at_popfd
        v86 vm.iret, FLAGS
        refused vm.int_iret
        flags_are 0xa32d5, VIF | 0x200d5
        v86 vm.iret, FLAGS | VIP
        refused vm.at_iret
        v86 vm.iretd, FLAGS
        refused vm.at_iretd
        v86 vm.cli, FLAGS | IOPL3 | IF_ | VIF   ; with IOPL 3 it is IF again
        back vm.end_cli
        flags_are IF_ | VIF, VIF

        topic "redirected interrupts"
        mov dword [0x65 * 4], vm.handler
        mov byte [REDIRECT + 0x65 / 8], 0xff & ~(1 << (0x65 & 7))
        v86 vm.int65, FLAGS | VIF | IF_
        refused vm.int_handler
        movzx eax, word [REAL_STACK - 6]
        is eax, vm.after_int65
        movzx eax, word [REAL_STACK - 4]
        is eax, 0
        movzx eax, word [REAL_STACK - 2]
        is eax, 0x3202                  ; VIF as IF, IOPL 3
        flags_are VIF | IF_ | 0x100, IF_
        is [exc_sp], REAL_STACK - 6
        v86 vm.int65, FLAGS | IOPL3 | IF_
        back vm.end_handler
        movzx eax, word [REAL_STACK - 2]
        is eax, 0x3202
        flags_are IF_, 0
        v86 vm.int65_iret, FLAGS | VIF
        refused vm.int_iret65
        flags_are VIF, VIF
        mov byte [REDIRECT + 0x65 / 8], 0xff
        v86 vm.int65, FLAGS
        refused vm.int65
        gate IDT32, 0x65, CODE32, protected_handler, 0xee
        v86 vm.int65, FLAGS | IOPL3
        back vm.end_int65               ; through the IDT
        mov word [TSS32 + 102], 0x1000 + 136
        mov edi, TSS32 + 0x1000 + 104
        mov ecx, 8
        mov eax, -1
        rep stosd
        mov byte [TSS32 + 0x1000 + 104 + 0x65 / 8], 0xff & ~(1 << (0x65 & 7))
        v86 vm.int65, FLAGS | IOPL3
        back vm.end_handler             ; the map moves with the port bitmap
        mov word [TSS32 + 102], 136

        topic "PVI"
        mov eax, cr4
        and eax, ~1
        or eax, 2
        mov cr4, eax
        user r3.cli, 0x202 | VIF
        caught BACK, NO_ERROR, r3.end_cli
        flags_are IF_ | VIF, IF_
        user r3.sti, 2
        caught BACK, NO_ERROR, r3.end_sti
        flags_are IF_ | VIF, VIF
        user r3.sti, 2 | VIP
        caught GP, 0, r3.sti
        user r3.popf, 2
        caught BACK, NO_ERROR, r3.end_popf
        flags_are IF_ | VIF | IOPL3, 0
        user r3.cli, 0x3202 | VIF
        caught BACK, NO_ERROR, r3.end_cli
        flags_are IF_ | VIF, VIF
        mov eax, cr4
        and eax, ~2
        mov cr4, eax
        user r3.cli, 2
        caught GP, 0, r3.cli
        finish

protected_handler: iretd
r3:
.cli:   cli
        int BACK
.end_cli:
.sti:   sti
        int BACK
.end_sti:
.popf:  push dword 0x202
        popfd
        int BACK
.end_popf:

        bits 16
vm:
.cli:   cli
.int_cli: int BACK
.end_cli:
.sti:   sti
.int_sti: int BACK
.end_sti:
.pushf: pushf
        add sp, 2
.int_pushf: int BACK
.end_pushf:
.pushfd: pushfd
        add sp, 4
        int BACK
.end_pushfd:
.popf:  push word 0x202
.at_popf: popf
.int_popf: int BACK
.end_popf:
.popf_tf: push word 0x102
.at_popf_tf: popf
        int BACK
.popfd: push dword 0x3b0202
.at_popfd: popfd
        int BACK
.end_popfd:
.iret:  push word 0x2d7
        push cs
        push word .int_iret
.at_iret: iret
.int_iret: int BACK
.end_iret:
.iretd: push dword 2
        push dword 0
        push dword .int_iretd
.at_iretd: iretd
.int_iretd: int BACK
.end_iretd:
.int3:  int3
.after_int3:
        int BACK
.int30: int BACK
.ud:    ud2
.hlt:   hlt
.lgdt:  lgdt [value]
.cr0:   mov eax, cr0
.dr:    mov eax, dr7
.clts:  clts
.rdmsr: rdmsr
.lldt:  lldt ax
.lar:   lar ax, ax
.arpl:  arpl ax, ax
.smsw:  smsw ax
        int BACK
.end_smsw:
.in:    in al, 0x80
.int_in: int BACK
.end_in:
.segment: mov ax, 0x6000
        mov es, ax
        mov dword [es:0x10], 0x600df00d
        int BACK
.end_segment:
.limit: nop
.at_limit: mov eax, [0xfffd]
        int BACK
.stack_limit: mov sp, 1
.at_stack_limit: push ax
        int BACK
.offset: mov ebx, 0x10000
.at_offset: mov al, [ebx]
        int BACK
.far:   call 0:.function
        int BACK
.end_far:
.function: retf
.int65: int 0x65
.after_int65:
        int BACK
.end_int65:
.handler: nop
.int_handler: int BACK
.end_handler:
.int65_iret:
        mov word [0x65 * 4], .iret65
        int 0x65
.int_iret65: int BACK
.iret65: mov word [0x65 * 4], .handler
        iret
%include "end.inc"
