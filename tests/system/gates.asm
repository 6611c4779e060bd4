; Gates and returns: call gates with parameters, interrupt and trap gates across rings, IST, IRET
; and RETF to outer rings, virtual-8086 mode and back, and each check on the way (SDM vol 3 §5.8,
; 6.12-6.14; vol 2 at CALL, INT, IRET, RET).
%define LONG
%include "start.inc"

GATE0   equ SEL_FREE
CODE_1  equ SEL_FREE + 0x10             ; ring 1
DATA_1  equ SEL_FREE + 0x18
CODE_2  equ SEL_FREE + 0x20
DATA_2  equ SEL_FREE + 0x28
BAD     equ SEL_FREE + 0x30             ; whatever a case needs
CONFORM equ SEL_FREE + 0x38
G       equ 8
BIG     equ 4
IDT_ERROR equ 2                         ; the bit of an error code that means the IDT

        absolute user_vars
seen:   resq 8                          ; what a handler found on its stack
seen_cs: resq 1
seen_ss: resq 1
seen_sp: resq 1
seen_flags: resq 1
seen_seg: resq 4
old_sp: resq 1
pointer: resq 2

        section .text
        bits 32
; int VECTOR from CPL 0 fails with ...
%macro bad_int 3
        fault %2, %3, {int %1}
%endmacro

main:
        descriptor CODE_1, 0, 0xfffff, 0xba, BIG | G
        descriptor DATA_1, 0, 0xfffff, 0xb2, BIG | G
        descriptor CODE_2, 0, 0xfffff, 0xda, BIG | G
        descriptor DATA_2, 0, 0xfffff, 0xd2, BIG | G
        descriptor CONFORM, 0, 0xfffff, 0x9e, BIG | G
        mov dword [TSS32 + 12], STACK1
        mov dword [TSS32 + 16], DATA_1 | 1
        mov dword [TSS32 + 20], STACK2
        mov dword [TSS32 + 24], DATA_2 | 2

        topic "interrupt and trap gates at CPL 0"
        gate IDT32, 0x40, CODE32, look, 0x8e
        gate IDT32, 0x41, CODE32, look, 0x8f
        mov [old_sp], esp
        push dword 0x246
        popfd
        cld
        int 0x40
.at_40: pushfd
        cli
        pop eax
        and eax, 0x200
        is eax, 0x200
        is [seen], .at_40
        is [seen + 4], CODE32
        mov eax, [seen + 8]
        is eax, 0x246
        is [seen_flags], 0x46           ; IF, TF, NT, RF, VM are clear
        mov eax, [old_sp]
        sub eax, 12
        is [seen_sp], eax
        push dword 0x246
        popfd
        int 0x41
        cli
        is [seen_flags], 0x246          ; a trap gate leaves IF

        topic "16-bit gates"
        gate IDT32, 0x42, CODE32, look16, 0x86
        int 0x42
.at_42: is [seen], .at_42
        mov eax, [seen_sp]
        sub eax, [old_sp]
        is eax, -6

        topic "gates that refuse"
        gate IDT32, 0x50, CODE32, look, 0x0e
        bad_int 0x50, NP, 0x50 * 8 + IDT_ERROR
        gate IDT32, 0x50, CODE32, look, 0x8c
        bad_int 0x50, GP, 0x50 * 8 + IDT_ERROR  ; a call gate
        gate IDT32, 0x50, CODE32, look, 0x9e
        bad_int 0x50, GP, 0x50 * 8 + IDT_ERROR
        gate IDT32, 0x50, CODE32, look, 0
        bad_int 0x50, GP, 0x50 * 8 + IDT_ERROR
        gate IDT32, 0x50, 0, look, 0x8e
        bad_int 0x50, GP, 0
        gate IDT32, 0x50, 0x1008, look, 0x8e
        bad_int 0x50, GP, 0x1008
        gate IDT32, 0x50, DATA, look, 0x8e
        bad_int 0x50, GP, DATA
        gate IDT32, 0x50, UCODE32, look, 0x8e
        bad_int 0x50, GP, UCODE32       ; never outwards
        descriptor BAD, 0, 0xfffff, 0x1a, BIG | G
        gate IDT32, 0x50, BAD, look, 0x8e
        bad_int 0x50, NP, BAD
        descriptor BAD, 0, 0xff, 0x9a, BIG
        bad_int 0x50, GP, 0             ; offset beyond the limit
        mov word [table_pointer], 0x50 * 8 + 6
        mov dword [table_pointer + 2], IDT32
        gate IDT32, 0x50, CODE32, look, 0x8e
        lidt [table_pointer]
        bad_int 0x50, GP, 0x50 * 8 + IDT_ERROR
        bad_int 0xff, GP, 0xff * 8 + IDT_ERROR
        call idt32_load

        topic "an exception whose gate refuses"
        mov byte [IDT32 + 8 * UD + 5], 0x0e
        fault NP, UD * 8 + IDT_ERROR + 1, {ud2}         ; EXT: the program did not ask for it
        mov byte [IDT32 + 8 * UD + 5], 0x8e
        mov byte [IDT32 + 8 * 3 + 5], 0x0e
        fault NP, 3 * 8 + IDT_ERROR, {int3}             ; it did
        fault NP, 3 * 8 + IDT_ERROR, {db 0xcd, 3}
        mov byte [IDT32 + 8 * 3 + 5], 0x8e
        mov byte [IDT32 + 8 * 1 + 5], 0x0e
        fault NP, 1 * 8 + IDT_ERROR + 1, {db 0xf1}      ; ICEBP is no INT n
        mov byte [IDT32 + 8 * 1 + 5], 0x8e

        topic "INT n from CPL 3"
        user r3.int40
        caught GP, 0x40 * 8 + IDT_ERROR, r3.at_int40
        user r3.int3
        caught GP, 3 * 8 + IDT_ERROR, r3.at_int3
        user r3.into
        caught GP, 4 * 8 + IDT_ERROR, r3.at_into
        user r3.icebp
        caught DB_, NO_ERROR, r3.after_icebp    ; its DPL is not looked at
        gate IDT32, 0x43, CODE32, look, 0xee
        mov dword [seen + 12], 0
        mov dword [seen + 16], 0
        user r3.int43, 0x202
        caught BACK, NO_ERROR, r3.end_int43
        is [seen], r3.after_int43
        is [seen + 4], UCODE32 | 3
        is [seen + 12], USER_STACK
        is [seen + 16], UDATA | 3
        is [seen_sp], STACK0 - 20
        is [seen_ss], DATA
        is [seen_cs], CODE32

        topic "gates into ring 1 and 2"
        gate IDT32, 0x44, CODE_1, look_1, 0xee
        gate IDT32, 0x45, CODE_2, look_1, 0xee
        user r3.int44
        caught BACK, NO_ERROR, r3.end_int44
        is [seen_cs], CODE_1 | 1
        is [seen_ss], DATA_1 | 1
        is [seen_sp], STACK1 - 20
        is [seen], r3.after_int44
        user r3.int45
        caught BACK, NO_ERROR, r3.end_int45
        is [seen_cs], CODE_2 | 2
        is [seen_sp], STACK2 - 20
        gate IDT32, 0x46, CONFORM, look_3, 0xee
        user r3.int46
        caught BACK, NO_ERROR, r3.end_int46
        is [seen_cs], CONFORM | 3       ; conforming: no change of ring, no other stack
        is [seen_sp], USER_STACK - 12

        topic "stacks in the TSS that refuse"
%macro bad_stack 3                      ; SELECTOR, VECTOR, ERROR
        mov dword [TSS32 + 16], %1
        user r3.int44
        caught %2, %3, r3.int44
%endmacro
        bad_stack 0, TS, 0
        bad_stack 1, TS, 0
        bad_stack 0x1009, TS, 0x1008
        bad_stack DATA_1, TS, DATA_1    ; RPL 0
        bad_stack DATA | 1, TS, DATA    ; DPL 0
        bad_stack UDATA | 1, TS, UDATA
        bad_stack CODE_1 | 1, TS, CODE_1
        descriptor BAD, 0, 0xfffff, 0xb0, BIG | G
        bad_stack BAD | 1, TS, BAD      ; read only
        descriptor BAD, 0, 0xfffff, 0x32, BIG | G
        bad_stack BAD | 1, SS_, BAD     ; not present
        descriptor BAD, 0, 0xf, 0xb2, BIG
        mov dword [TSS32 + 12], 0x10
        bad_stack BAD | 1, SS_, BAD     ; the frame does not fit
        mov dword [TSS32 + 12], STACK1
        mov dword [TSS32 + 16], DATA_1 | 1
        user r3.int44
        caught BACK, NO_ERROR, r3.end_int44
        mov word [GDT + SEL_TSS32], 0x0b        ; SS1 is beyond the TSS's limit
        and byte [GDT + SEL_TSS32 + 5], 0xfd
        mov eax, SEL_TSS32
        ltr ax
        user r3.int44
        caught TS, SEL_TSS32, r3.int44
        mov word [GDT + SEL_TSS32], 104 + 8192
        and byte [GDT + SEL_TSS32 + 5], 0xfd
        mov eax, SEL_TSS32
        ltr ax

        topic "call gates at one level"
        gate GDT + GATE0, 0, CODE32, callee, 0xec, 3
        mov [old_sp], esp
        call GATE0:0x12345678           ; the offset is not used
.call1: is [seen], .call1
        is [seen + 4], CODE32
        mov eax, [old_sp]
        sub eax, 8
        is [seen_sp], eax
        jmp GATE0:0
from_jump:
        is [seen_cs], CODE32

        topic "call gates to inner rings"
        user r3.call_gate
        caught BACK, NO_ERROR, r3.end_call
        is [seen], r3.after_call
        is [seen + 4], UCODE32 | 3
        is [seen + 8], 0x11111111       ; parameters, the first on top
        is [seen + 12], 0x22222222
        is [seen + 16], 0x33333333
        is [seen + 20], USER_STACK - 12
        is [seen + 24], UDATA | 3
        is [seen_sp], STACK0 - 28
        is [seen_ss], DATA
        is [exc_sp], USER_STACK         ; RETF 12 frees both stacks
        gate GDT + GATE0, 0, CODE_1 | 3, callee_1, 0xec, 0
        user r3.call_gate0
        caught BACK, NO_ERROR, r3.end_call0
        is [seen_cs], CODE_1 | 1        ; RPL of the gate's selector does not count
        is [seen_sp], STACK1 - 16
        is [seen + 8], USER_STACK
        gate GDT + GATE0, 0, CONFORM, callee_3, 0xec, 3
        user r3.call_gate0
        caught BACK, NO_ERROR, r3.end_call0
        is [seen_cs], CONFORM | 3
        is [seen_sp], USER_STACK - 8    ; no parameters are copied
        gate GDT + GATE0, 0, CODE32, callee16, 0xe4, 2
        user r3.call_gate16
        caught BACK, NO_ERROR, r3.end_call16
        mov eax, [seen + 4]
        is eax, 0x22221111              ; IP, CS, two words
        mov eax, [seen + 8]
        and eax, 0xffff
        is eax, (USER_STACK - 4) & 0xffff
        is [seen_sp], STACK0 - 12

        topic "call gates that refuse"
        gate GDT + GATE0, 0, CODE32, callee, 0x8c
        user r3.call_gate0
        caught GP, GATE0, r3.call_gate0 ; DPL 0
        gate GDT + GATE0, 0, CODE32, callee, 0xac
        fault GP, GATE0, {call (GATE0 | 3):0}   ; RPL
        gate GDT + GATE0, 0, CODE32, callee, 0x6c
        user r3.call_gate0
        caught NP, GATE0, r3.call_gate0
        gate GDT + GATE0, 0, 0, callee, 0xec
        fault GP, 0, {call GATE0:0}
        gate GDT + GATE0, 0, 0x1008, callee, 0xec
        fault GP, 0x1008, {call GATE0:0}
        gate GDT + GATE0, 0, DATA, callee, 0xec
        fault GP, DATA, {call GATE0:0}
        gate GDT + GATE0, 0, UCODE32, callee, 0xec
        fault GP, UCODE32, {call GATE0:0}       ; never outwards
        descriptor BAD, 0, 0xfffff, 0x1a, BIG | G
        gate GDT + GATE0, 0, BAD, callee, 0xec
        fault NP, BAD, {call GATE0:0}
        descriptor BAD, 0, 0xff, 0x9a, BIG
        fault GP, 0, {call GATE0:0}
        gate GDT + GATE0, 0, CODE32, callee, 0xec
        user r3.jump_gate
        caught GP, CODE32, r3.jump_gate ; JMP stays in its ring
        gate GDT + GATE0, 0, CODE32, callee, 0xee
        fault GP, GATE0, {call GATE0:0} ; an interrupt gate in the GDT
        mov eax, GATE0
        fault GP, GATE0, {mov fs, ax}
        mov dword [TSS32 + 16], DATA | 1
        gate GDT + GATE0, 0, CODE_1, callee_1, 0xec
        user r3.call_gate0
        caught TS, DATA, r3.call_gate0
        mov dword [TSS32 + 16], DATA_1 | 1

        topic "returns to outer rings"
        mov eax, DATA
        mov fs, eax                     ; DPL 0: emptied on the way out
        mov eax, UDATA | 3
        mov gs, eax
        mov eax, CONFORM
        mov es, eax                     ; conforming code stays
        expect .retf
        push dword UDATA | 3
        push dword USER_STACK
        push dword UCODE32 | 3
        push dword r3.segments
        mov [old_sp], esp
        retf
.retf:  caught BACK, NO_ERROR, r3.end_segments
        is [seen_seg], 0
        is [seen_seg + 4], UDATA | 3
        is [seen_seg + 8], CONFORM
        is [seen_seg + 12], 0
        expect .ret8
        push dword UDATA | 3
        push dword USER_STACK - 8
        push eax
        push eax
        push dword UCODE32 | 3
        push dword r3.back
        retf 8
.ret8:  caught BACK, NO_ERROR, r3.end_back
        is [exc_sp], USER_STACK

%macro iret_frame 5                     ; EIP CS EFLAGS ESP SS
        mov edx, esp
        push dword %5
        push dword %4
        push dword %3
        push dword %2
        push dword %1
%endmacro
%macro bad_iret 7                       ; VECTOR, ERROR, frame
        iret_frame %3, %4, %5, %6, %7
        mov ebx, esp
        fault %1, %2, {iretd}
        is [exc_sp], ebx                ; nothing was popped
        mov esp, edx
%endmacro
        topic "IRET that refuses"
        bad_iret GP, 0, main, 0, 2, USER_STACK, UDATA | 3
        bad_iret GP, DATA, main, DATA | 3, 2, USER_STACK, UDATA | 3
        bad_iret GP, 0x1008, main, 0x100b, 2, USER_STACK, UDATA | 3
        bad_iret GP, CODE32, main, CODE32 | 3, 2, USER_STACK, UDATA | 3
        bad_iret GP, UCODE32, main, UCODE32, 2, USER_STACK, UDATA | 3   ; DPL 3 at RPL 0
        bad_iret GP, 0, main, UCODE32 | 3, 2, USER_STACK, 0
        bad_iret GP, DATA, main, UCODE32 | 3, 2, USER_STACK, DATA | 3
        bad_iret GP, UDATA, main, UCODE32 | 3, 2, USER_STACK, UDATA
        bad_iret GP, UCODE32, main, UCODE32 | 3, 2, USER_STACK, UCODE32 | 3
        bad_iret GP, 0x1008, main, UCODE32 | 3, 2, USER_STACK, 0x100b
        descriptor BAD, 0, 0xfffff, 0x72, BIG | G
        iret_frame main, UCODE32 | 3, 2, USER_STACK, BAD | 3
        expect .absent
        iretd
.absent: mov esp, edx                   ; #SS by IRET's pseudocode, #NP by its list of exceptions
        mov eax, [exc_vec]
        sub eax, NP
        shr eax, 1
        is eax, 0
        is [exc_err], BAD
        descriptor BAD, 0, 0xfffff, 0x7a, BIG | G
        bad_iret NP, BAD, main, BAD | 3, 2, USER_STACK, UDATA | 3
        descriptor BAD, 0, 0xff, 0xfa, BIG
        bad_iret GP, 0, main, BAD | 3, 2, USER_STACK, UDATA | 3
        user r3.iret_inner
        caught GP, CODE32, r3.at_iret_inner
        user r3.iret_flags, 0x202
        caught BACK, NO_ERROR, r3.end_iret_flags
        mov eax, [exc_flags]
        and eax, 0x23200
        is eax, 0x200                   ; neither VM, IOPL nor IF at CPL 3, IOPL 0
        mov eax, [exc_flags]
        and eax, 0x8d5
        is eax, 0x8d5

        topic "IRET within a ring"
        pushfd
        push dword CODE32
        push dword .same
        iretd
.same:  push dword 0x3ad7
        push dword CODE32
        push dword .flags
        iretd
.flags: pushfd
        push dword 2
        popfd
        pop eax
        is eax, 0x3ad7

        topic "virtual-8086 mode"
        gate IDT32, 0x47, CODE32, look_v86, 0xee
        mov eax, UDATA
        mov fs, eax
        expect .v86
        push dword 0x5000               ; GS FS DS ES
        push dword 0x4000
        push dword 0x3000
        push dword 0x2000
        push dword 0x1000               ; SS
        push dword 0x12340000 | 0x8000
        push dword 0x23202
        push dword 0
        push dword vm
        iretd
.v86:   caught BACK, NO_ERROR, vm.end
        is [seen], vm.after_47
        is [seen + 4], 0
        mov eax, [seen + 8]
        and eax, 0x23200
        is eax, 0x23200
        is [seen + 12], 0x12348000
        is [seen + 16], 0x1000
        is [seen + 20], 0x2000          ; ES DS FS GS
        is [seen + 24], 0x3000
        is [seen + 28], 0x4000
        is [seen + 32], 0x5000
        is [seen_sp], STACK0 - 36
        is [seen_flags], 0x3002         ; IF and VM are clear
        is [seen_seg], 0                ; the handler finds its data segments empty
        is [seen_seg + 4], 0
        is [seen_seg + 8], 0
        is [seen_seg + 12], 0
        is [exc_cs], 0                  ; IRET led back to where it came from
        is [exc_ss], 0x1000
        gate IDT32, 0x48, CODE_1, look_1, 0xee
        v86 vm.int48, 0x23002
        caught GP, CODE_1, vm.int48     ; only into ring 0
        gate IDT32, 0x48, CONFORM, look_1, 0xee
        v86 vm.int48, 0x23002
        caught GP, CONFORM, vm.int48
        v86 vm.int48, 0x20002
        caught GP, 0, vm.int48          ; IOPL < 3
        v86 vm.fault, 0x23002
        caught UD, NO_ERROR, vm.fault

        has 0x80000001, 0, edx, 29
        jnz long_gates
        left_out "long mode"
        finish

%include "gates-long.inc"
%include "gates-handlers.inc"
%include "end.inc"
