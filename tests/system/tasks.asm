; Hardware task switches: by JMP, CALL, task gates, interrupts and IRET, 32-bit and 16-bit, and what
; they refuse (SDM vol 3 ch. 7).
%include "start.inc"

T_A     equ SEL_FREE                    ; a 32-bit task
T_B     equ SEL_FREE + 8                ; a 16-bit task
T_GATE  equ SEL_FREE + 0x10
BAD     equ SEL_FREE + 0x18
T_C     equ SEL_FREE + 0x20             ; another 32-bit task
SMALL   equ SEL_FREE + 0x28
BIG     equ 4
G       equ 8

TSS_A   equ 0x60000
TSS_B   equ 0x60100
TSS_C   equ 0x60200
STACK_A equ 0x62000
STACK_B equ 0x5000 + 0x8000             ; within 64 KiB
STACK_C equ 0x63000
PD_1    equ 0x70000
PD_2    equ 0x71000

; offsets in a TSS
EIP_    equ 0x20
FLAGS_  equ 0x24
EAX_    equ 0x28
ECX_    equ 0x2c
EDX_    equ 0x30
EBX_    equ 0x34
ESP_    equ 0x38
EBP_    equ 0x3c
ESI_    equ 0x40
EDI_    equ 0x44
ES_     equ 0x48
CS_     equ 0x4c
SS__    equ 0x50
DS_     equ 0x54
FS_     equ 0x58
GS_     equ 0x5c
LDT_    equ 0x60
TRAP_   equ 0x64

        absolute user_vars
seen_regs: resd 8                       ; EDI ESI EBP ESP EBX EDX ECX EAX
seen_flags: resd 1
seen_cr0: resd 1
seen_tr: resd 1
seen_ldt: resd 1
seen_busy: resd 2                       ; access bytes of T_A and of the main task
seen_link: resd 1
seen_segs: resd 6                       ; ES CS SS DS FS GS
seen_error: resd 1
seen_memory: resd 1
start_at: resd 1

        section .text
        bits 32
%macro home 0                           ; after a fault that another task took: TR is ours again
        mov dword [GDT + SEL_TSS32 + 4], 0x8900 | TSS32 >> 16
        mov eax, SEL_TSS32
        ltr ax
        clts
%endmacro
%macro task_a 1                         ; T_A starts afresh, at a label
        mov dword [start_at], %1
        call setup_a
%endmacro
; task_fault VECTOR, ERROR: switching to T_A fails in the new task, before its first instruction
%macro task_fault 2
        expect %%after
        jmp T_A:0
%%after: caught %1, %2, in_a
        str eax
        is eax, T_A
        home
%endmacro

main:
        descriptor T_A, TSS_A, 103, 0x89, 0
        descriptor T_B, TSS_B, 43, 0x81, 0
        descriptor T_C, TSS_C, 103, 0x89, 0
        mov eax, cr0
        or eax, 2                       ; MP, so that TS is seen by WAIT too
        mov cr0, eax

        topic "JMP to a TSS"
        task_a in_a
        mov edi, 0x11111111
        mov esi, 0x22222222
        mov ebp, 0x33333333
        mov ebx, 0x44444444
        mov edx, 0x55555555
        mov ecx, 0x66666666
        mov eax, 0x77777777
        stc
        jmp T_A:0x12345678              ; the offset is not used
.back1: jnc .lost
        is edi, 0x11111111
        is esi, 0x22222222
        is ebp, 0x33333333
        is ebx, 0x44444444
        is edx, 0x55555555
        is ecx, 0x66666666
        is eax, 0x77777777
.lost:  is [TSS32 + EIP_], .back1
        is [TSS32 + EAX_], 0x77777777
        is [TSS32 + EDI_], 0x11111111
        is [TSS32 + ESP_], STACK
        mov eax, [TSS32 + CS_]
        is eax, CODE32
        mov eax, [TSS32 + FLAGS_]
        and eax, 0x4001
        is eax, 1
        is [seen_regs], 0xd1d1d1d1
        is [seen_regs + 4], 0x51515151
        is [seen_regs + 8], 0xb9b9b9b9
        is [seen_regs + 12], STACK_A
        is [seen_regs + 16], 0xbbbbbbbb
        is [seen_regs + 20], 0xdddddddd
        is [seen_regs + 24], 0xcccccccc
        is [seen_regs + 28], 0xaaaaaaaa
        is [seen_flags], 0x8c2          ; as the TSS says, NT stays clear
        mov eax, [seen_cr0]
        and eax, 8
        is eax, 8                       ; TS
        is [seen_tr], T_A
        is [seen_busy], 0x8b
        is [seen_busy + 4], 0x89
        is [seen_segs], UDATA | 3
        is [seen_segs + 4], CODE32
        is [seen_segs + 8], DATA
        is [seen_segs + 12], DATA
        is [seen_segs + 16], 0
        is [seen_segs + 20], UDATA
        is [TSS_A], 0                   ; no link
        movzx eax, byte [GDT + T_A + 5]
        is eax, 0x89
        movzx eax, byte [GDT + SEL_TSS32 + 5]
        is eax, 0x8b
        mov eax, cr0
        and eax, 8
        is eax, 8
        fault NM, NO_ERROR, {fldz}
        fault NM, NO_ERROR, {wait}
        clts
        fldz
        fstp st0

        topic "CALL to a TSS, and IRET"
        task_a in_a_called
        call T_A:0
.back2: is [TSS_A], SEL_TSS32
        mov eax, [seen_flags]
        and eax, 0x4000
        is eax, 0x4000                  ; NT in the new task
        is [seen_busy], 0x8b
        is [seen_busy + 4], 0x8b        ; both are busy
        pushfd
        pop eax
        and eax, 0x4000
        is eax, 0
        movzx eax, byte [GDT + T_A + 5]
        is eax, 0x89
        mov eax, [TSS_A + FLAGS_]
        and eax, 0x4000
        is eax, 0                       ; IRET clears it in what it saves
        is [TSS_A + EIP_], in_a_called.after_iret
        is [TSS32 + EIP_], .back2
        clts
        mov dword [seen_tr], 0
        call T_A:0                      ; goes on behind its IRET
        is [seen_tr], 0x600d
        clts

        topic "task gates in the GDT"
        task_a in_a_called
        mov dword [GDT + T_GATE], T_A << 16
        mov dword [GDT + T_GATE + 4], 0xe500
        call T_GATE:0
        is [seen_tr], T_A
        is [TSS_A], SEL_TSS32
        clts
        task_a in_a
        mov dword [seen_tr], 0
        jmp T_GATE:0
        is [seen_tr], T_A
        clts
        mov byte [GDT + T_GATE + 5], 0x65
        fault NP, T_GATE, {jmp T_GATE:0}
        mov byte [GDT + T_GATE + 5], 0x85
        user r3.gate
        caught GP, T_GATE, r3.gate
        user r3.tss
        caught GP, T_A, r3.tss
        mov byte [GDT + T_GATE + 5], 0xe5
        task_a in_a_called
        user r3.gate                    ; the gate's DPL counts, not the TSS's
        caught BACK, NO_ERROR, r3.end_gate
        mov eax, [TSS32 + CS_]
        and eax, 0xffff
        is eax, UCODE32 | 3
        mov eax, [TSS32 + FLAGS_]
        clts
        mov word [GDT + T_GATE + 2], 4
        fault GP, 4, {jmp T_GATE:0}     ; a TSS must be in the GDT
        mov word [GDT + T_GATE + 2], DATA
        fault GP, DATA, {jmp T_GATE:0}
        mov word [GDT + T_GATE + 2], 0
        fault GP, 0, {jmp T_GATE:0}
        mov word [GDT + T_GATE + 2], SEL_TSS32
        fault GP, SEL_TSS32, {jmp T_GATE:0}     ; busy: ourselves

        topic "task gates in the IDT"
        task_a in_a_called
        mov dword [IDT32 + 8 * 0x40], T_A << 16
        mov dword [IDT32 + 8 * 0x40 + 4], 0x8500
        int 0x40
.int40: is [TSS32 + EIP_], .int40
        is [seen_regs + 12], STACK_A    ; no error code
        is [TSS_A], SEL_TSS32
        clts
        task_a in_a_error
        mov dword [IDT32 + 8 * GP], T_A << 16
        mov dword [IDT32 + 8 * GP + 4], 0x8500
        mov eax, 0x1008
.gp:    mov fs, ax
.after_gp:
        call idt32_init
        is [seen_error], 0x1008
        is [seen_memory], .gp           ; where the interrupted task was to go on
        clts
        mov eax, cr0
        and eax, 8
        is eax, 0

        topic "double fault by a task gate"
        task_a in_a_double
        mov dword [IDT32 + 8 * DF], T_A << 16
        mov dword [IDT32 + 8 * DF + 4], 0x8500
        descriptor SMALL, 0x50000, 0xf, 0x92, BIG
        mov dword [seen_error], -1
        mov eax, SMALL
        mov ss, eax
        mov esp, 4
        ud2                             ; no room for its frame, nor for #SS's
.after_double:
        call idt32_init
        is [seen_error], 0
        is [seen_tr], T_A
        clts

        topic "switches that are refused"
        descriptor T_A, TSS_A, 103, 0x8b, 0
        fault GP, T_A, {jmp T_A:0}      ; busy
        fault GP, T_A, {call T_A:0}
        descriptor T_A, TSS_A, 103, 0x09, 0
        fault NP, T_A, {jmp T_A:0}
        descriptor T_A, TSS_A, 102, 0x89, 0
        fault TS, T_A, {jmp T_A:0}
        descriptor T_B, TSS_B, 42, 0x81, 0
        fault TS, T_B, {jmp T_B:0}
        fault GP, GDT_SIZE, {jmp GDT_SIZE:0}
        str eax
        is eax, SEL_TSS32
        movzx eax, byte [GDT + SEL_TSS32 + 5]
        is eax, 0x8b
        descriptor T_A, TSS_A, 103, 0x89, 0
        descriptor T_B, TSS_B, 43, 0x81, 0
        fault GP, T_A, {jmp (T_A | 3):0}

        topic "IRET with NT"
        push dword 0x4002
        popfd
        mov dword [TSS32], T_A          ; not busy
        task_a in_a
        push dword 0x4002
        popfd
        fault TS, T_A, {iretd}
        push dword 0x4002
        popfd
        mov dword [TSS32], DATA
        fault TS, DATA, {iretd}
        push dword 0x4002
        popfd
        mov dword [TSS32], 0x1008
        fault TS, 0x1008, {iretd}
        push dword 0x4002
        popfd
        mov dword [TSS32], 4            ; an LDT's
        fault TS, 4, {iretd}
        mov dword [TSS32], 0

        topic "new tasks that do not hold"
        task_a in_a
        mov dword [TSS_A + DS_], 0x1008
        task_fault TS, 0x1008
        task_a in_a
        mov dword [TSS_A + SS__], 0
        task_fault TS, 0
        task_a in_a
        mov dword [TSS_A + SS__], UDATA
        task_fault TS, UDATA
        task_a in_a
        mov dword [TSS_A + SS__], CODE32
        task_fault TS, CODE32
        descriptor BAD, 0, 0xfffff, 0x12, BIG | G
        task_a in_a
        mov dword [TSS_A + SS__], BAD
        task_fault SS_, BAD
        task_a in_a
        mov dword [TSS_A + ES_], BAD
        task_fault NP, BAD
        descriptor BAD, 0, 0xfffff, 0x1a, BIG | G
        task_a in_a
        mov dword [TSS_A + CS_], BAD
        task_fault NP, BAD
        task_a in_a
        mov dword [TSS_A + CS_], 0
        task_fault TS, 0
        task_a in_a
        mov dword [TSS_A + CS_], DATA
        task_fault TS, DATA
        task_a in_a
        mov dword [TSS_A + LDT_], DATA
        task_fault TS, DATA
        task_a in_a
        mov dword [TSS_A + LDT_], 0x1008
        task_fault TS, 0x1008
        task_a in_a
        mov dword [TSS_A + LDT_], 4
        task_fault TS, 4
        descriptor BAD, LDT, 0x7ff, 0x02, 0
        task_a in_a
        mov dword [TSS_A + LDT_], BAD
        task_fault TS, BAD

        topic "LDT and ring 3 of a task"
        mov dword [LDT + 8], 0x0000ffff
        mov dword [LDT + 12], 0x00cff300
        task_a in_user
        mov dword [TSS_A + LDT_], SEL_LDT
        mov dword [TSS_A + DS_], 0xf    ; in its LDT
        mov dword [TSS_A + ES_], UDATA | 3
        mov dword [TSS_A + SS__], UDATA | 3
        mov dword [TSS_A + CS_], UCODE32 | 3
        expect .user
        jmp T_A:0
.user:  caught BACK, NO_ERROR, in_user.end
        is [exc_cs], UCODE32 | 3
        is [exc_ds], 0xf
        is [exc_sp], STACK_A
        sldt eax
        and eax, 0xffff
        is eax, SEL_LDT
        home
        xor eax, eax
        lldt ax

        topic "a task in virtual-8086 mode"
        task_a in_v86
        mov dword [TSS_A + FLAGS_], 0x23002
        mov dword [TSS_A + CS_], 0
        mov dword [TSS_A + SS__], 0x100
        mov dword [TSS_A + DS_], 0x2000
        mov dword [TSS_A + ES_], 0
        mov dword [TSS_A + FS_], 0
        mov dword [TSS_A + GS_], 0xffff
        mov dword [TSS_A + ESP_], 0x8000
        expect .v86
        jmp T_A:0
.v86:   caught BACK, NO_ERROR, in_v86.end
        mov eax, [exc_flags]
        and eax, 0x23000
        is eax, 0x23000
        is [exc_ss], 0x100
        is [0x9000 - 4], 0x600df00d
        home

        topic "the T flag of a TSS"
        task_a in_a
        mov word [TSS_A + TRAP_], 1
        xor eax, eax
        mov dr6, eax
        expect .trap
        jmp T_A:0
.trap:  caught DB_, NO_ERROR, in_a      ; before the first instruction
        mov eax, [exc_dr6]
        and eax, 0xe00f
        is eax, 0x8000                  ; BT
        home

        topic "debug registers of a task switch"
        xor eax, eax
        mov dr6, eax
        mov eax, 0x3ff
        mov dr7, eax
        task_a in_a_dr7
        call T_A:0
        clts
        mov eax, [seen_memory]
        and eax, 0x3ff
        is eax, 0x2aa                   ; L0-L3 and LE are cleared
        mov eax, 0x400
        mov dr7, eax

        topic "CR3 of a task"
        xor ecx, ecx
.pd:    mov eax, ecx
        shl eax, 22
        or eax, 0x87
        mov [PD_1 + ecx * 4], eax
        mov [PD_2 + ecx * 4], eax
        inc ecx
        cmp ecx, 1024
        jb .pd
        mov dword [PD_2 + 4 * 3], 0x800087      ; C00000h leads to 800000h there
        mov dword [0x800000], 0x800800
        mov dword [0xc00000], 0xc00c00
        mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov eax, PD_1
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        is [0xc00000], 0xc00c00
        task_a in_a_cr3
        mov dword [TSS_A + 0x1c], PD_2
        mov dword [TSS32 + 0x1c], PD_1
        call T_A:0
        is [seen_memory], 0x800800
        is [0xc00000], 0xc00c00
        mov eax, cr3
        is eax, PD_1
        clts
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax

        topic "16-bit tasks"
        call setup_b
        mov edi, 0x1111
        mov ebx, 0x44444444
        jmp T_B:0
.back16: is ebx, 0x44444444
        clts
        movzx eax, word [seen_regs + 28]
        is eax, 0xaaaa
        movzx eax, word [seen_regs + 16]
        is eax, 0xbbbb
        movzx eax, word [seen_regs + 12]
        is eax, STACK_B
        is [seen_tr], T_B
        mov eax, [seen_flags]
        is eax, 0x8c2
        is [seen_segs + 16], 0          ; FS and GS are empty
        is [seen_segs + 20], 0
        is [seen_busy], 0x83
        call setup_b
        mov dword [seen_tr], 0
        mov word [TSS_B + 0xe], in_b_called
        call T_B:0
.call16: is [seen_tr], T_B
        movzx eax, word [TSS_B]
        is eax, SEL_TSS32
        movzx eax, word [TSS_B + 0xe]
        is eax, in_b_called.after
        movzx eax, byte [GDT + T_B + 5]
        is eax, 0x81
        clts
        finish

; ---- T_A as it starts: every register its own ----
setup_a:
        pushad
        mov edi, TSS_A
        xor eax, eax
        mov ecx, 26
        rep stosd
        mov eax, [start_at]
        mov [TSS_A + EIP_], eax
        mov dword [TSS_A + FLAGS_], 0x8c2
        mov dword [TSS_A + EAX_], 0xaaaaaaaa
        mov dword [TSS_A + ECX_], 0xcccccccc
        mov dword [TSS_A + EDX_], 0xdddddddd
        mov dword [TSS_A + EBX_], 0xbbbbbbbb
        mov dword [TSS_A + ESP_], STACK_A
        mov dword [TSS_A + EBP_], 0xb9b9b9b9
        mov dword [TSS_A + ESI_], 0x51515151
        mov dword [TSS_A + EDI_], 0xd1d1d1d1
        mov dword [TSS_A + ES_], UDATA | 3
        mov dword [TSS_A + CS_], CODE32
        mov dword [TSS_A + SS__], DATA
        mov dword [TSS_A + DS_], DATA
        mov dword [TSS_A + GS_], UDATA
        mov dword [TSS_A + 4], STACK0   ; its stack for ring 0
        mov dword [TSS_A + 8], DATA
        mov word [TSS_A + 0x66], 104
        mov byte [GDT + T_A + 5], 0x89
        popad
        ret
setup_b:
        pushad
        mov edi, TSS_B
        xor eax, eax
        mov ecx, 11
        rep stosd
        mov word [TSS_B + 0x0e], in_b
        mov word [TSS_B + 0x10], 0x8c2
        mov word [TSS_B + 0x12], 0xaaaa
        mov word [TSS_B + 0x18], 0xbbbb
        mov word [TSS_B + 0x1a], STACK_B
        mov word [TSS_B + 0x22], DATA
        mov word [TSS_B + 0x24], CODE32
        mov word [TSS_B + 0x26], DATA16 ; the upper half of ESP is undefined
        mov word [TSS_B + 0x28], DATA
        mov byte [GDT + T_B + 5], 0x81
        popad
        ret

%macro look 1                           ; state of a task as it starts; %1: whose access byte
        mov [seen_regs + 12], esp
        mov [seen_regs + 28], eax
        pushfd
        pop dword [seen_flags]
        mov [seen_regs], edi
        mov [seen_regs + 4], esi
        mov [seen_regs + 8], ebp
        mov [seen_regs + 16], ebx
        mov [seen_regs + 20], edx
        mov [seen_regs + 24], ecx
        mov eax, cr0
        mov [seen_cr0], eax
        str eax
        mov [seen_tr], eax
        movzx eax, byte [GDT + %1 + 5]
        mov [seen_busy], eax
        movzx eax, byte [GDT + SEL_TSS32 + 5]
        mov [seen_busy + 4], eax
        xor eax, eax
        mov ax, es
        mov [seen_segs], eax
        mov ax, cs
        mov [seen_segs + 4], eax
        mov ax, ss
        mov [seen_segs + 8], eax
        mov ax, ds
        mov [seen_segs + 12], eax
        mov ax, fs
        mov [seen_segs + 16], eax
        mov ax, gs
        mov [seen_segs + 20], eax
%endmacro
in_a:   look T_A
        jmp SEL_TSS32:0
in_a_called:
        look T_A
        iretd
.after_iret:
        mov dword [seen_tr], 0x600d
        iretd
in_a_error:
        pop dword [seen_error]
        mov eax, [TSS32 + EIP_]
        mov [seen_memory], eax
        mov dword [TSS32 + EIP_], main.after_gp
        clts
        iretd
in_a_double:
        pop dword [seen_error]
        look T_A
        mov dword [TSS32 + EIP_], main.after_double
        mov dword [TSS32 + SS__], DATA
        mov dword [TSS32 + ESP_], STACK
        iretd
in_a_dr7:
        mov eax, dr7
        mov [seen_memory], eax
        iretd
in_a_cr3:
        mov eax, [0xc00000]
        mov [seen_memory], eax
        iretd
in_b:   look T_B
        jmp SEL_TSS32:0
in_b_called:
        look T_B
        iretd
.after:

r3:
.gate:  call T_GATE:0
        int BACK
.end_gate:
.tss:   jmp T_A:0
in_user:
        push ds
        pop eax
        int BACK
.end:
        bits 16
in_v86: push dword 0x600df00d
        int BACK
.end:
%include "end.inc"
