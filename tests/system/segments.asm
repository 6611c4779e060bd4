; Segmentation: what loading a selector checks, what each access checks, and with which vector and
; error code (SDM vol 3 ch. 5; vol 2 at MOV, POP, LDS, JMP, LAR, LSL, VERR, ARPL).
%define LONG
%include "start.inc"

S0      equ SEL_FREE                    ; slots to play with
S1      equ SEL_FREE + 8
S2      equ SEL_FREE + 16
S3      equ SEL_FREE + 24
G       equ 8
BIG     equ 4
L       equ 2
MEMORY  equ 0x50000                     ; where test segments begin

        absolute user_vars
far_pointer: resd 2
value:  resd 4

        section .text
        bits 32
; load SELECTOR, VECTOR, ERROR: into FS by MOV
%macro load 3
        mov eax, %1
        fault %2, %3, {mov fs, ax}
%endmacro
; ss SELECTOR, VECTOR, ERROR: into SS
%macro load_ss 3
        mov eax, %1
        fault %2, %3, {mov ss, ax}
%endmacro
; jump_far SELECTOR, VECTOR, ERROR
%macro jump_far 3
        fault %2, %3, {jmp %1:main}
%endmacro

main:
        topic "null selectors"
        load 0, NO_EXC, 0
        fault GP, 0, {mov eax, [fs:0]}
        load 3, NO_EXC, 0               ; any of 0 to 3 is null
        fault GP, 0, {mov byte [fs:0], 1}
        mov eax, fs
        is eax, 3
        load_ss 0, GP, 0
        load_ss 3, GP, 0
        jump_far 0, GP, 0
        jump_far 3, GP, 0
        push dword 0
        fault NO_EXC, 0, {pop gs}
        fault GP, 0, {mov eax, [gs:value]}

        topic "selectors beyond the table"
        load GDT_SIZE, GP, GDT_SIZE
        load GDT_SIZE | 3, GP, GDT_SIZE ; an error code has no RPL
        load 0xfffb, GP, 0xfff8
        load_ss GDT_SIZE, GP, GDT_SIZE
        jump_far GDT_SIZE, GP, GDT_SIZE
        load 4, GP, 4                   ; there is no LDT
        load 0x1f, GP, 0x1c
        mov word [table_pointer], S1 + 6        ; the last descriptor is cut by a byte
        mov dword [table_pointer + 2], GDT
        descriptor S0, MEMORY, 0xfff, 0x92, BIG
        descriptor S1, MEMORY, 0xfff, 0x92, BIG
        lgdt [table_pointer]
        load S0, NO_EXC, 0
        load S1, GP, S1
        lgdt [gdt_pointer]
        load S1, NO_EXC, 0

        topic "presence"
        descriptor S0, MEMORY, 0xfff, 0x12, BIG
        load S0, NP, S0
        load_ss S0, SS_, S0
        descriptor S0, MEMORY, 0xfff, 0x1a, BIG
        load S0, NP, S0
        load_ss S0, GP, S0              ; type before presence
        jump_far S0, NP, S0

        topic "types"
        load SEL_TSS32, GP, SEL_TSS32
        load SEL_LDT, GP, SEL_LDT
        load_ss SEL_TSS32, GP, SEL_TSS32
        jump_far DATA, GP, DATA
        jump_far SEL_LDT, GP, SEL_LDT
        descriptor S0, MEMORY, 0xfff, 0x98, BIG ; execute only
        load S0, GP, S0
        load_ss S0, GP, S0
        descriptor S0, MEMORY, 0xfff, 0x9a, BIG ; execute and read
        load S0, NO_EXC, 0
        load_ss S0, GP, S0
        fault GP, 0, {mov [fs:0], al}
        mov al, [fs:0]
        descriptor S0, MEMORY, 0xfff, 0x90, BIG ; read only
        load S0, NO_EXC, 0
        load_ss S0, GP, S0
        mov al, [fs:0]
        fault GP, 0, {mov [fs:0], al}
        fault GP, 0, {add byte [fs:0], 1}
        fault GP, 0, {xchg eax, [fs:16]}
        fault GP, 0, {mov [cs:value], al}
        mov al, [cs:value]
        fault UD, NO_ERROR, {db 0x8e, 0xc8}     ; MOV CS, AX
        fault UD, NO_ERROR, {db 0x8e, 0xf0}     ; segment register 6
        descriptor S1, 0, 0xfffff, 0x98, BIG | G ; code that may not be read
        jmp S1:.execute_only
.execute_only:
        fault GP, 0, {mov al, [cs:value]}
        mov [recover_cs], cs
        jmp CODE32:.readable
.readable:

        topic "privilege at CPL 0"
        load DATA | 3, GP, DATA         ; RPL 3, DPL 0
        load UDATA, NO_EXC, 0
        load UDATA | 3, NO_EXC, 0
        load_ss DATA | 1, GP, DATA
        load_ss UDATA, GP, UDATA
        load_ss UDATA | 3, GP, UDATA
        jump_far UCODE32, GP, UCODE32        ; DPL 3, not conforming
        jump_far CODE32 | 3, GP, CODE32      ; RPL above CPL
        descriptor S0, 0, 0xfffff, 0xfe, BIG | G        ; conforming, DPL 3
        jump_far S0, GP, S0
        load S0 | 3, NO_EXC, 0          ; readable conforming code: any privilege
        descriptor S0, 0, 0xfffff, 0x9e, BIG | G        ; conforming, DPL 0
        jmp (S0 | 3):.conforming
.conforming:
        mov eax, cs
        is eax, S0                      ; RPL becomes CPL
        jmp CODE32:.normal
.normal:
        load S0 | 3, NO_EXC, 0

        topic "privilege at CPL 3"
        user ring3.ds
        caught GP, DATA, ring3.at_ds
        user ring3.rpl
        caught GP, DATA, ring3.at_rpl
        user ring3.ss
        caught GP, UDATA, ring3.at_ss
        user ring3.null_ss
        caught GP, 0, ring3.at_null_ss
        user ring3.far
        caught GP, CODE32, ring3.at_far
        user ring3.conforming
        caught BACK, NO_ERROR, ring3.at_conforming
        is [exc_cs], S0 | 3
        user ring3.ret_inner
        caught GP, CODE32, ring3.at_ret_inner
        user ring3.privileged
        caught GP, 0, ring3.privileged
        user ring3.lgdt
        caught GP, 0, ring3.lgdt
        user ring3.cr0
        caught GP, 0, ring3.cr0
        user ring3.ltr
        caught GP, 0, ring3.ltr
        user ring3.cli
        caught GP, 0, ring3.cli
        user ring3.cli, 0x3002
        caught BACK, NO_ERROR, ring3.at_cli
        user ring3.popf, 0x202
        caught BACK, NO_ERROR, ring3.at_popf
        mov eax, [exc_flags]
        and eax, 0x3200
        is eax, 0x200                   ; POPF changes neither IF nor IOPL there

        topic "limits"
        descriptor S0, MEMORY, 0xfff, 0x92, BIG
        load S0, NO_EXC, 0
        mov al, [fs:0xfff]
        mov eax, [fs:0xffc]
        fault GP, 0, {mov al, [fs:0x1000]}
        fault GP, 0, {mov eax, [fs:0xffd]}
        fault GP, 0, {mov ax, [fs:0xfff]}
        fault GP, 0, {mov [fs:0xfff], ax}
        fault GP, 0, {mov eax, [fs:0xffffffff]}
        fault GP, 0, {mov eax, [fs:0xfffffffd]}
        fault GP, 0, {fld tword [fs:0xff7]}
        mov ebx, 0x1000
        fault GP, 0, {add [fs:ebx], eax}
        fault GP, 0, {fxsave [fs:0xf80]}
        fault GP, 0, {bound eax, [fs:0xffc]}
        mov ecx, 0x8000
        fault GP, 0, {bt [fs:0], ecx}   ; bit 8000h is in the byte at 1000h
        mov ecx, 0x7fff
        bt [fs:0], ecx
        lea eax, [fs:0x2000]            ; an address is no access
        descriptor S0, MEMORY, 0, 0x92, BIG | G ; limit FFFh again, in pages
        load S0, NO_EXC, 0
        mov eax, [fs:0xffc]
        fault GP, 0, {mov al, [fs:0x1000]}
        descriptor S0, MEMORY, 0, 0x92, BIG     ; one byte
        load S0, NO_EXC, 0
        mov al, [fs:0]
        fault GP, 0, {mov ax, [fs:0]}
        descriptor S0, 0xfffff000, 0xfffff, 0x92, BIG | G       ; linear addresses wrap at 4 GiB
        load S0, NO_EXC, 0
        mov dword [value], 0x600df00d
        mov eax, [fs:value + 0x1000]
        is eax, 0x600df00d

        topic "expand down"
        descriptor S0, MEMORY - 0x8000, 0x7fff, 0x96, 0         ; 8000h to FFFFh
        load S0, NO_EXC, 0
        mov al, [fs:0x8000]
        mov eax, [fs:0xfffc]
        fault GP, 0, {mov al, [fs:0x7fff]}
        fault GP, 0, {mov al, [fs:0]}
        fault GP, 0, {mov eax, [fs:0xfffd]}
        fault GP, 0, {mov al, [fs:0x10000]}
        fault GP, 0, {mov [fs:0x7fff], ax}
        descriptor S0, 0, 0x1f, 0x96, BIG | G   ; 20000h to FFFFFFFFh
        load S0, NO_EXC, 0
        mov al, [fs:0x20000]
        fault GP, 0, {mov al, [fs:0x1ffff]}
        fault GP, 0, {mov eax, [fs:0xfffffffe]}
        descriptor S0, 0, 0xfffff, 0x96, BIG | G        ; nothing at all
        load S0, NO_EXC, 0
        fault GP, 0, {mov al, [fs:0]}

        topic "stack limits"
        descriptor S0, MEMORY, 0xfff, 0x92, BIG
        mov ebp, 0x1000
        mov edx, esp
        mov eax, S0
        mov ss, eax
        mov esp, 0x1000
        expect .ss1
        mov [recover_sp], edx
.at_ss1: mov al, [ebp]
        mov dword [recover], 0
.ss1:   caught SS_, 0, .at_ss1
        expect .ss2                     ; the handler needs a stack: SP must be good there
        mov [recover_sp], edx
        mov eax, S0
        mov ss, eax
        mov esp, 0x1000
.at_ss2: pop eax
        mov dword [recover], 0
.ss2:   caught SS_, 0, .at_ss2
        expect .ss3
        mov [recover_sp], edx
        mov eax, S0
        mov ss, eax
        mov esp, 0x1000
.at_ss3: mov ebx, [ss:0x1001]
        mov dword [recover], 0
.ss3:   caught SS_, 0, .at_ss3
        descriptor S0, MEMORY, 0xff, 0x96, BIG  ; expand down from 100h: PUSH at 102h does not fit
        user ring3.stack
        caught SS_, 0, ring3.at_stack
        is [exc_sp], 0x102              ; unchanged

        topic "the accessed bit"
        descriptor S0, MEMORY, 0xfff, 0x92, BIG
        load S0, NO_EXC, 0
        movzx eax, byte [GDT + S0 + 5]
        is eax, 0x93
        descriptor S0, MEMORY, 0xfff, 0x9a, BIG
        mov eax, S0
        mov gs, eax
        movzx eax, byte [GDT + S0 + 5]
        is eax, 0x9b
        descriptor S0, 0, 0xfffff, 0x9a, BIG | G
        jmp S0:.accessed
.accessed:
        jmp CODE32:.flat
.flat:  movzx eax, byte [GDT + S0 + 5]
        is eax, 0x9b
        descriptor S0, MEMORY, 0xfff, 0x12, BIG
        load S0, NP, S0
        movzx eax, byte [GDT + S0 + 5]
        is eax, 0x12                    ; a load that fails sets nothing
        mov eax, SEL_FREE
        descriptor S0, MEMORY, 0xfff, 0x92, BIG
        lar ebx, eax
        verr ax
        movzx eax, byte [GDT + S0 + 5]
        is eax, 0x92                    ; looking is no access

        topic "a register keeps what it loaded"
        descriptor S0, MEMORY, 0xfff, 0x92, BIG
        mov dword [MEMORY + 8], 0x600df00d
        load S0, NO_EXC, 0
        descriptor S0, 0, 0, 0, 0
        mov eax, [fs:8]
        is eax, 0x600df00d

        topic "far jumps"
        descriptor S0, 0, 0xff, 0x9a, BIG
        fault GP, 0, {jmp S0:0x100}     ; beyond the new limit
        fault GP, 0, {call S0:0x100}
        mov dword [far_pointer], main
        mov dword [far_pointer + 4], DATA
        fault GP, DATA, {jmp far [far_pointer]}
        fault GP, DATA, {call far [far_pointer]}
        push dword DATA
        push dword main
        mov edx, esp
        fault GP, DATA, {retf}
        is [exc_sp], edx
        add esp, 8
        fault UD, NO_ERROR, {db 0xff, 0xe8}     ; JMP FAR EAX
        fault UD, NO_ERROR, {db 0xff, 0xd8}
        mov edx, esp
        call CODE32:.far
.far:   is [esp], .far
        pop eax
        pop eax
        and eax, 0xffff
        is eax, CODE32
        sub edx, esp
        is edx, 0

        topic "LDS and its like"
        mov dword [value], 0x12345678
        mov dword [value + 4], GDT_SIZE
        mov ebx, 0x55
        fault GP, GDT_SIZE, {lfs ebx, [value]}
        is ebx, 0x55
        mov dword [value + 4], UDATA | 3
        lfs ebx, [value]
        is ebx, 0x12345678
        mov eax, fs
        is eax, UDATA | 3
        fault UD, NO_ERROR, {db 0x0f, 0xb4, 0xc0}       ; LFS EAX, EAX

        topic "LDT"
        xor eax, eax
        mov eax, S0
        descriptor S0, 0, 0x7ff, 0x02, 0
        fault NP, S0, {lldt ax}
        mov eax, DATA
        fault GP, DATA, {lldt ax}
        mov eax, SEL_TSS32
        fault GP, SEL_TSS32, {lldt ax}
        mov eax, 0x24
        fault GP, 0x24, {lldt ax}       ; not in the GDT
        mov eax, SEL_LDT
        lldt ax
        xor ebx, ebx
        sldt bx
        is ebx, SEL_LDT
        mov dword [LDT], (MEMORY & 0xffff) << 16 | 0xfff
        mov dword [LDT + 4], 0x00409200 | MEMORY >> 16
        load 4, NO_EXC, 0               ; entry 0 of an LDT is an entry
        mov eax, [fs:8]
        is eax, 0x600df00d
        load 0x804, GP, 0x804
        load 0xc, GP, 0xc               ; an empty descriptor
        mov byte [LDT + 5], 0x12
        load 7, GP, 4                   ; RPL 3 and DPL 0 come before presence
        load 4, NP, 4
        xor eax, eax
        lldt ax
        load 4, GP, 4
        sldt bx
        is ebx, 0

        topic "LTR"
        mov eax, SEL_TSS32
        fault GP, SEL_TSS32, {ltr ax}   ; busy
        mov eax, DATA
        fault GP, DATA, {ltr ax}
        xor eax, eax
        fault GP, 0, {ltr ax}
        descriptor S0, TSS32, 103, 0x09, 0
        mov eax, S0
        fault NP, S0, {ltr ax}
        descriptor S0, TSS32, 103, 0x89, 0
        ltr ax
        movzx ebx, byte [GDT + S0 + 5]
        is ebx, 0x8b
        str ebx
        is ebx, S0
        mov byte [GDT + SEL_TSS32 + 5], 0x89
        mov eax, SEL_TSS32
        ltr ax

        topic "LAR, LSL"
        descriptor S0, MEMORY, 0x12345, 0xf2, BIG | G
        mov eax, S0
        mov ebx, 0x55
        lar ebx, eax
        setz cl
        movzx ecx, cl
        is ecx, 1
        and ebx, 0xf0ff00
        is ebx, 0xc0f200
        lsl ebx, eax
        is ebx, 0x12345fff
        lar bx, ax
        mov ebx, -1
        lar bx, ax
        is ebx, 0xfffff200
        mov ebx, 0x55
        mov eax, 0
        lar ebx, eax
        setz cl
        movzx ecx, cl
        is ecx, 0
        is ebx, 0x55
        mov eax, GDT_SIZE
        lsl ebx, eax
        setz cl
        is ecx, 0
        mov eax, SEL_TSS32
        lsl ebx, eax
        setz cl
        is ecx, 1
        is ebx, 104 + 8192
        gate GDT + S0, 0, CODE32, main, 0x8c
        mov eax, S0
        mov ebx, 0x55
        lsl ebx, eax                    ; gates have no limit
        setz cl
        is ecx, 0
        lar ebx, eax                    ; but rights
        setz cl
        is ecx, 1
        and ebx, 0xff00
        is ebx, 0x8c00
        gate GDT + S0, 0, CODE32, main, 0x8e
        lar ebx, eax                    ; an interrupt gate is no valid type
        setz cl
        is ecx, 0

        topic "VERR, VERW"
%macro verify 4                         ; ACCESS, SELECTOR BITS, readable, writable
        descriptor S0, MEMORY, 0xfff, %1, BIG
        mov eax, S0 | %2
        verr ax
        setz cl
        movzx ecx, cl
        is ecx, %3
        verw ax
        setz cl
        is ecx, %4
%endmacro
        verify 0x92, 0, 1, 1
        verify 0x90, 0, 1, 0
        verify 0x9a, 0, 1, 0
        verify 0x98, 0, 0, 0
        verify 0x92, 3, 0, 0
        verify 0xf2, 3, 1, 1
        verify 0x9e, 3, 1, 0            ; conforming
        verify 0x12, 0, 1, 1            ; presence is not looked at
        verify 0x89, 0, 0, 0

        topic "ARPL"
        mov eax, 0x1230
        mov ebx, 0x0003
        arpl ax, bx
        setz cl
        movzx ecx, cl
        is ecx, 1
        is eax, 0x1233
        mov ebx, 1
        arpl ax, bx
        setz cl
        is ecx, 0
        is eax, 0x1233
        real arpl_real

        topic "SGDT, SIDT, SMSW"
        sgdt [table_pointer]
        movzx eax, word [table_pointer]
        is eax, GDT_SIZE - 1
        is [table_pointer + 2], GDT
        sidt [table_pointer]
        is [table_pointer + 2], IDT32
        mov eax, cr0
        smsw ebx
        xor ebx, eax
        is ebx, 0
        user ring3.smsw
        caught BACK, NO_ERROR, ring3.at_smsw
        has 7, 0, ecx, 2
        jz .no_umip
        mov eax, cr4
        or eax, 1 << 11
        mov cr4, eax
        user ring3.smsw
        caught GP, 0, ring3.smsw
        user ring3.sgdt
        caught GP, 0, ring3.sgdt
        user ring3.str
        caught GP, 0, ring3.str
        mov eax, cr4
        and eax, ~(1 << 11)
        mov cr4, eax
.no_umip:

        topic "64-bit: no limits, no types, FS and GS have a base"
        has 0x80000001, 0, edx, 29
        jnz .long
        left_out "long mode"
        finish
.long:  call enter_long
        bits 64
        xor eax, eax
        mov fs, eax
        mov eax, [fs:value]             ; null is no obstacle
        mov [fs:value], eax
        mov eax, S0
        mov dword [GDT + S0], (MEMORY & 0xffff) << 16 | 1
        mov dword [GDT + S0 + 4], 0x00009000 | MEMORY >> 16
        mov fs, eax                     ; read only, two bytes, base MEMORY
        mov ecx, [fs:8]
        is rcx, 0x600df00d
        mov [fs:0x100], ecx
        mov es, eax
        mov dword [value], 0x1111
        db 0x26
        mov ecx, [value]
        is rcx, 0x1111                  ; ES's base counts as 0
        mov ecx, 0xc0000100
        mov eax, 0x44444444
        mov edx, 0x00004444
        wrmsr
        rdmsr
        is rax, 0x44444444
        is rdx, 0x4444
        fault PF, 0, {mov eax, [fs:0]}
        mov rax, 0x444444444444
        is [exc_cr2], rax
        mov edx, 0x80000000
        fault GP, 0, {wrmsr}
        mov eax, GDT_SIZE
        fault GP, GDT_SIZE, {mov ds, ax}
        mov eax, CODE64
        fault NO_EXC, 0, {mov es, ax}   ; code that may be read
        mov eax, SEL_TSS64
        fault GP, SEL_TSS64, {mov es, ax}
        xor eax, eax
        fault NO_EXC, 0, {mov ss, ax}   ; at CPL 0 to 2
        mov eax, 3
        fault GP, 0, {mov ss, ax}       ; RPL is not CPL
        mov dword [GDT + S1], 0xffff
        mov dword [GDT + S1 + 4], 0x00ef9b00    ; L and D
        mov dword [far_pointer], main
        mov dword [far_pointer + 4], S1
        fault GP, S1, {jmp far dword [far_pointer]}
        mov eax, SEL_TSS64
        lsl ecx, eax
        is rcx, 103
        mov dword [GDT + S0], 0x67
        mov dword [GDT + S0 + 4], 0x8900
        mov dword [GDT + S0 + 8], 0
        mov dword [GDT + S0 + 12], 0x1f00
        mov eax, S0
        fault GP, S0, {ltr ax}          ; a type in the upper half
        mov dword [GDT + S0 + 12], 0
        mov dword [GDT + S0 + 8], 0x80000000
        fault GP, S0, {ltr ax}          ; base not canonical
        mov dword [GDT + S0 + 8], 0
        mov dword [GDT + S0 + 4], 0x8100
        fault GP, S0, {ltr ax}          ; a 16-bit TSS
        fault UD, NO_ERROR, {db 0x8c, 0xf8}     ; MOV AX, segment register 7
        mov rax, 0x8000000000000000
        mov [table_pointer + 2], rax
        fault GP, 0, {lgdt [table_pointer]}
        mov ecx, 0xc0000101
        xor eax, eax
        xor edx, edx
        wrmsr
        call leave_long
        bits 32
        finish

ring3:
.ds:    mov eax, DATA | 3
.at_ds: mov fs, eax
        int BACK
.rpl:   mov eax, DATA
.at_rpl: mov fs, eax
        int BACK
.ss:    mov eax, UDATA                  ; RPL 0
.at_ss: mov ss, eax
        int BACK
.null_ss: xor eax, eax
.at_null_ss: mov ss, eax
        int BACK
.far:
.at_far: jmp CODE32:main
.conforming: jmp S0:.in_conforming
.in_conforming: int BACK
.at_conforming:
.ret_inner: push dword CODE32
        push dword main
.at_ret_inner: retf
.privileged: hlt
.lgdt:  lgdt [gdt_pointer]
.cr0:   mov eax, cr0
.ltr:   ltr ax
.cli:   cli
        int BACK
.at_cli:
.popf:  push dword 0x3002
        popfd
        int BACK
.at_popf:
.stack: push dword 0x73                 ; to 102h of S0, which is DPL 3 now
        mov byte [GDT + S0 + 5], 0xf6
        mov eax, S0 | 3
        mov ss, eax
        mov esp, 0x102
.at_stack: push eax
        int BACK
.smsw:  smsw eax
        int BACK
.at_smsw:
.sgdt:  sgdt [table_pointer]
        int BACK
.str:   str eax
        int BACK

        bits 16
arpl_real:
        fault UD, NO_ERROR, {arpl ax, bx}
        fault UD, NO_ERROR, {lar eax, eax}
        fault UD, NO_ERROR, {verr ax}
        fault UD, NO_ERROR, {lldt ax}
        fault UD, NO_ERROR, {str ax}
        ret
%include "end.inc"
