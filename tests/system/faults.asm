; Every exception with its vector, error code and RIP, and what happens when delivering one raises
; another (SDM vol 3 §6.15, table 6-5).
%define LONG
%include "start.inc"

BAD     equ SEL_FREE
TABLES  equ 0x50000                     ; a page directory and a page table, identity mapped
IDT_    equ 0x60000                     ; three pages for an IDT across a boundary
HOLE    equ 0x70000                     ; a page that is not present

        absolute user_vars
value:  resq 4
limits: resd 2
pointer: resq 2

        section .text
        bits 32
main:
        topic "#DE"
        xor ecx, ecx
        mov eax, 1
        xor edx, edx
        fault DE, NO_ERROR, {div ecx}
        fault DE, NO_ERROR, {div cl}
        fault DE, NO_ERROR, {idiv cx}
        mov ecx, 1
        mov edx, 1
        fault DE, NO_ERROR, {div ecx}   ; the quotient needs 33 bits
        is edx, 1
        is eax, 1
        mov eax, 0x80000000
        mov edx, 0xffffffff
        mov ecx, -1
        fault DE, NO_ERROR, {idiv ecx}
        mov eax, 0xff80
        fault DE, NO_ERROR, {idiv cl}
        mov eax, 0x0200
        mov cl, 2
        fault DE, NO_ERROR, {div cl}
        fault DE, NO_ERROR, {aam 0}
        mov dword [value], 0
        fault DE, NO_ERROR, {div dword [value]}

        topic "#BP, #OF, #BR"
        expect .bp
        int3
.after_bp: mov dword [recover], 0
.bp:    caught BP_, NO_ERROR, .after_bp
        xor eax, eax
        into
        mov al, 0x7f
        inc al
        expect .of
        into
.after_of: mov dword [recover], 0
.of:    caught OF_, NO_ERROR, .after_of
        mov dword [limits], 10
        mov dword [limits + 4], 20
        mov eax, 10
        bound eax, [limits]
        mov eax, 20
        bound eax, [limits]
        mov eax, 21
        fault BR_, NO_ERROR, {bound eax, [limits]}
        mov eax, -1
        fault BR_, NO_ERROR, {bound eax, [limits]}
        fault UD, NO_ERROR, {db 0x62, 0xc0, 0x90}

        topic "#UD"
        fault UD, NO_ERROR, {ud2}
        fault UD, NO_ERROR, {db 0x0f, 0xb9, 0xc0}       ; UD1
        fault UD, NO_ERROR, {db 0x0f, 0xff, 0xc0}       ; UD0
        fault UD, NO_ERROR, {db 0x0f, 0x0a}
        fault UD, NO_ERROR, {db 0xf0, 0x90}             ; LOCK NOP
        fault UD, NO_ERROR, {db 0xf0, 0x01, 0xc0}       ; LOCK ADD EAX, EAX
        fault UD, NO_ERROR, {db 0xf0, 0x8b, 0x05, 0, 0, 0, 0}   ; LOCK MOV
        fault UD, NO_ERROR, {db 0xf0, 0x39, 0x05, 0, 0, 0, 0}   ; LOCK CMP
        fault UD, NO_ERROR, {db 0xf0, 0x0f, 0xa3, 0x05, 0, 0, 0, 0}     ; LOCK BT
        fault UD, NO_ERROR, {db 0x0f, 0xc7, 0xc8}       ; CMPXCHG8B EAX
        fault UD, NO_ERROR, {db 0x8d, 0xc0}             ; LEA EAX, EAX
        fault UD, NO_ERROR, {db 0xc4, 0xc0}             ; LES EAX, EAX or a cut VEX
        fault UD, NO_ERROR, {db 0x0f, 0x01, 0xf8}       ; SWAPGS outside of long mode
        fault UD, NO_ERROR, {db 0x0f, 0x20, 0xc8}       ; MOV EAX, CR1
        fault UD, NO_ERROR, {db 0x0f, 0x20, 0xe8}       ; CR5
        fault UD, NO_ERROR, {db 0xff, 0xf8}             ; group 5 /7
        fault UD, NO_ERROR, {db 0xfe, 0xd0}             ; group 4 /2
        fault UD, NO_ERROR, {db 0x0f, 0xba, 0xc0, 0}    ; group 8 /0
        fault UD, NO_ERROR, {db 0xc6, 0xc8, 0}          ; group 11 /1
        fault UD, NO_ERROR, {db 0x8f, 0xc8}             ; POP /1: not XOP
        fault UD, NO_ERROR, {db 0x0f, 0x05}             ; SYSCALL, EFER.SCE clear
        db 0x82, 0xc0, 1                                ; an alias of 80h outside of long mode
        db 0x0f, 0x1f, 0xc0                             ; NOP EAX

        topic "#GP"
        fault GP, 0, {dd 0x66666666, 0x66666666, 0x66666666, 0x90666666}        ; 16 bytes
        times 14 db 0x66
        nop                             ; 15 bytes are allowed
        mov eax, 0x80000000
        fault GP, 0, {mov cr0, eax}     ; PG without PE
        mov eax, 0x20000011
        fault GP, 0, {mov cr0, eax}     ; NW without CD
        mov eax, cr0
        is eax, 0x60000011
        mov eax, cr4
        or eax, 0x80000000
        fault GP, 0, {mov cr4, eax}
        mov ecx, 0x12345678
        fault GP, 0, {rdmsr}
        fault GP, 0, {wrmsr}
        mov ecx, 0xc0000080
        xor eax, eax
        mov edx, 1
        fault GP, 0, {wrmsr}
        mov edx, 0
        mov eax, 0x10000000
        fault GP, 0, {wrmsr}
        mov ecx, 0x277
        rdmsr
        push eax
        mov eax, 0x00070402             ; 2 and 3 are no memory types
        fault GP, 0, {wrmsr}
        pop eax
        user r3.in
        caught BACK, NO_ERROR, r3.end_in        ; by the bitmap
        mov byte [TSS32 + 104 + 0x80 / 8], 1
        user r3.in
        caught GP, 0, r3.in
        user r3.in_16
        caught BACK, NO_ERROR, r3.end_in_16     ; IN AL, 81h
        mov byte [TSS32 + 104 + 0x80 / 8], 2
        user r3.in
        caught BACK, NO_ERROR, r3.end_in
        user r3.in_word
        caught GP, 0, r3.in_word        ; a word takes two bits
        user r3.in, 0x3002
        caught BACK, NO_ERROR, r3.end_in        ; IOPL allows all
        mov edx, 0x81
        mov esi, value
        user r3.outs
        caught GP, 0, r3.outs
        mov byte [TSS32 + 104 + 0x80 / 8], 0
        mov word [TSS32 + 102], 0xf000  ; beyond the limit
        user r3.in
        caught GP, 0, r3.in
        mov word [TSS32 + 102], 104
        user r3.last_port
        caught BACK, NO_ERROR, r3.end_last_port
        mov eax, cr4
        or eax, 4
        mov cr4, eax
        rdtsc
        user r3.rdtsc
        caught GP, 0, r3.rdtsc
        mov eax, cr4
        and eax, ~4
        mov cr4, eax
        user r3.rdtsc
        caught BACK, NO_ERROR, r3.end_rdtsc
        user r3.rdpmc
        caught GP, 0, r3.rdpmc
        user r3.rdmsr
        caught GP, 0, r3.rdmsr
        user r3.invlpg
        caught GP, 0, r3.invlpg
        user r3.clts
        caught GP, 0, r3.clts
        user r3.dr
        caught GP, 0, r3.dr
        user r3.lmsw
        caught GP, 0, r3.lmsw
        user r3.wbinvd
        caught GP, 0, r3.wbinvd
        mov eax, cr0
        and al, 0xfe
        lmsw ax                         ; does not leave protected mode
        mov eax, cr0
        and eax, 1
        is eax, 1

        topic "#NM"
%macro cr0_bits 1                       ; TS is 8, EM 4, MP 2
        mov eax, cr0
        and eax, ~14
        or eax, %1
        mov cr0, eax
%endmacro
        cr0_bits 8
        fault NM, NO_ERROR, {fld1}
        fault NM, NO_ERROR, {fnstcw [value]}
        fault NM, NO_ERROR, {fninit}
        fault NM, NO_ERROR, {fxsave [0x50000]}
        fault NM, NO_ERROR, {emms}
        wait                            ; TS alone does not stop it
        cr0_bits 2
        wait
        cr0_bits 10
        fault NM, NO_ERROR, {wait}
        cr0_bits 4
        wait
        fault NM, NO_ERROR, {fld1}
        fault UD, NO_ERROR, {emms}
        cr0_bits 6
        wait
        fault NM, NO_ERROR, {fld1}
        cr0_bits 2
        mov eax, cr4
        and eax, ~0x600
        mov cr4, eax
        fault UD, NO_ERROR, {addps xmm0, xmm1}
        or eax, 0x200
        mov cr4, eax
        addps xmm0, xmm1
        cr0_bits 8
        fault NM, NO_ERROR, {addps xmm0, xmm1}
        fault NM, NO_ERROR, {ldmxcsr [value]}
        cr0_bits 4
        fault UD, NO_ERROR, {addps xmm0, xmm1}
        prefetcht0 [value]              ; not one of them
        cr0_bits 2

        topic "#MF"
        mov eax, cr0
        or eax, 0x20                    ; NE
        mov cr0, eax
        fninit
        mov dword [value], 0x37b        ; divide by zero
        fldcw [value]
        fldz
        fld1
        fdiv st1                        ; notes it
        fnstsw ax
        and eax, 0x8084
        is eax, 0x8084                  ; B, ES, ZE
        fault MF, NO_ERROR, {fld1}
        fault MF, NO_ERROR, {wait}
        fault MF, NO_ERROR, {fldcw [value]}
        fnstcw [value]
        fnclex
        wait
        fld1
        fninit

        topic "#XM"
        mov eax, cr4
        or eax, 0x600
        mov cr4, eax
        mov dword [value], 0x1d80       ; divide by zero is not masked
        ldmxcsr [value]
        xorps xmm1, xmm1
        mov dword [value], 0x3f800000
        movss xmm0, [value]
        fault XM, NO_ERROR, {divss xmm0, xmm1}
        movd eax, xmm0
        is eax, 0x3f800000
        stmxcsr [value]
        mov eax, [value]
        and eax, 4
        is eax, 4
        mov eax, cr4
        and eax, ~0x400
        mov cr4, eax
        fault UD, NO_ERROR, {divss xmm0, xmm1}  ; without OSXMMEXCPT
        or eax, 0x400
        mov cr4, eax
        mov dword [value], 0x1f80
        ldmxcsr [value]
        divss xmm0, xmm1
        movd eax, xmm0
        is eax, 0x7f800000
        mov dword [value], 0x80001f80
        fault GP, 0, {ldmxcsr [value]}
        fault GP, 0, {movaps xmm0, [value + 4]}
        movups xmm0, [value + 4]

        topic "#AC"
        mov eax, cr0
        or eax, 0x40000                 ; AM
        mov cr0, eax
        push dword 0x40002              ; AC
        popfd
        mov eax, [value + 1]            ; not at CPL 0
        push dword 2
        popfd
        user r3.unaligned, 0x40002
        caught AC, 0, r3.at_unaligned
        user r3.unaligned
        caught BACK, NO_ERROR, r3.end_unaligned ; AC is clear
        user r3.write, 0x40002
        caught AC, 0, r3.at_write
        user r3.aligned, 0x40002
        caught BACK, NO_ERROR, r3.end_aligned
        user r3.push, 0x40002
        caught AC, 0, r3.at_push
        user r3.double, 0x40002
        caught AC, 0, r3.at_double
        user r3.movs, 0x40002
        caught AC, 0, r3.at_movs
        mov eax, cr0
        and eax, ~0x40000
        mov cr0, eax
        user r3.unaligned, 0x40002
        caught BACK, NO_ERROR, r3.end_unaligned ; AM is clear

        topic "#DF"
        mov byte [IDT32 + 8 * GP + 5], 0x0e
        mov byte [IDT32 + 8 * NP + 5], 0x0e
        mov eax, 0x1008
        fault DF, 0, {mov fs, ax}  ; #GP, then #NP
        mov byte [IDT32 + 8 * GP + 5], 0x8e
        mov byte [IDT32 + 8 * NP + 5], 0x8e
        mov byte [IDT32 + 8 * DE + 5], 0x0e
        xor ecx, ecx
        fault DF, 0, {div ecx}     ; #DE is a contributor
        mov byte [IDT32 + 8 * DE + 5], 0x8e
        mov byte [IDT32 + 8 * UD + 5], 0x0e
        fault NP, UD * 8 + 3, {ud2}     ; #UD is benign
        mov byte [IDT32 + 8 * UD + 5], 0x8e
        mov word [table_pointer], DF * 8 + 7    ; #GP is beyond the IDT, as are #TS and #NP
        mov dword [table_pointer + 2], IDT32
        lidt [table_pointer]
        mov eax, 0x1008
        fault DF, 0, {mov fs, ax}
        call idt32_load
        mov word [IDT32 + 8 * GP + 2], DATA     ; #GP while delivering #GP
        fault DF, 0, {mov fs, ax}
        call idt32_init

        topic "#PF"
        call paging_on
        fault PF, 0, {mov eax, [HOLE + 0x123]}
        is [exc_cr2], HOLE + 0x123
        fault PF, 2, {mov [HOLE + 0x456], eax}
        is [exc_cr2], HOLE + 0x456
        fault PF, 2, {inc dword [HOLE]} ; a write from the start
        user r3.hole
        caught PF, 4, r3.at_hole
        user r3.hole_write
        caught PF, 6, r3.at_hole_write
        mov eax, HOLE + 8
        expect .fetch
        jmp eax
.fetch: caught PF, 0, HOLE + 8
        is [exc_cr2], HOLE + 8

        topic "#PF and others together"
        ; an IDT whose entries from #PF on are in the hole's page, #DF in the one before
        mov esi, IDT32
        mov edi, HOLE - 8 * PF
        mov ecx, 2 * PF
        rep movsd
        mov word [table_pointer], 0x7ff
        mov dword [table_pointer + 2], HOLE - 8 * PF
        lidt [table_pointer]
        fault DF, 0, {mov eax, [HOLE + 0xf00]}     ; #PF within #PF
        ; #GP's entry in the hole: #PF follows a contributor and is delivered
        mov esi, IDT32 + 8 * PF
        mov edi, HOLE + 0x1000
        mov ecx, 2
        rep movsd
        mov dword [table_pointer + 2], HOLE + 0x1000 - 8 * PF
        lidt [table_pointer]
        mov eax, 0x1008
        fault PF, 0, {mov fs, ax}
        is [exc_cr2], HOLE + 0x1000 - 8 * PF + 8 * GP
        ; #PF whose gate refuses
        call idt32_load
        mov byte [IDT32 + 8 * PF + 5], 0x0e
        fault DF, 0, {mov eax, [HOLE]}
        is [exc_cr2], HOLE
        mov byte [IDT32 + 8 * PF + 5], 0x8e

        topic "state after a fault"
        mov eax, 0x11
        mov edx, esp
        fault PF, 0, {push dword [HOLE]}
        is [exc_sp], edx
        push eax
        mov edx, esp
        fault PF, 2, {pop dword [HOLE]}
        is [exc_sp], edx
        pop eax
        fault PF, 0, {call [HOLE]}
        fault PF, 2, {xadd [HOLE], eax}
        is eax, 0x11
        fault PF, 2, {xchg [HOLE], eax}
        is eax, 0x11
        fault PF, 2, {cmpxchg [HOLE], ecx}
        is eax, 0x11
        fault PF, 2, {cmpxchg8b [HOLE]}
        stc
        mov eax, 5
        expect .adc
.at_adc: adc [HOLE], eax
        mov dword [recover], 0
.adc:   caught PF, 2, .at_adc
        mov eax, [exc_flags]
        and eax, 1
        is eax, 1
        mov ebp, HOLE
        mov edx, esp
        fault PF, 0, {leave}
        is ebp, HOLE
        is [exc_sp], edx
        fault PF, 2, {setc [HOLE]}
        fault PF, 2, {shl dword [HOLE], cl}
        fault PF, 0, {imul eax, [HOLE], 3}
        fault PF, 0, {lfs eax, [HOLE - 4]}      ; the selector is in the hole
        fault PF, 0, {fild dword [HOLE]}
        fninit
        fld1
        fault PF, 2, {fstp dword [HOLE]}
        fnstsw ax
        and eax, 0x3800
        is eax, 0x3800                  ; not popped
        fninit
        user r3.pusha
        caught PF, 6, r3.at_pusha
        is [exc_sp], HOLE + 0x1010
        is [exc_cr2], HOLE + 0xffc
        user r3.popa
        caught PF, 4, r3.at_popa
        is [exc_sp], HOLE - 16
        is edi, 0x12345
        user r3.call
        caught PF, 6, r3.at_call
        is [exc_sp], HOLE + 0x1000
        user r3.enter
        caught PF, 6, r3.at_enter
        is [exc_sp], HOLE + 0x1004
        is ebp, 0x12345
        user r3.ret
        caught PF, 4, r3.at_ret
        is [exc_sp], HOLE
        user r3.iret
        caught PF, 4, r3.at_iret
        is [exc_sp], HOLE - 4
        user r3.retf
        caught PF, 4, r3.at_retf
        user r3.call_far
        caught PF, 6, r3.at_call_far
        is [exc_sp], HOLE + 0x1004
        user r3.pop_mem
        caught PF, 6, r3.at_pop_mem
        is [exc_sp], USER_STACK - 4
        call paging_off

        has 0x80000001, 0, edx, 29
        jnz long_faults
        left_out "long mode"
        finish

%include "faults-long.inc"

; ---- Paging: 4 MiB at their own addresses, with a hole ----
        bits 32
paging_on:
        pushad
        mov dword [TABLES], (TABLES + 0x1000) | 7
        xor ecx, ecx
.next:  mov eax, ecx
        shl eax, 12
        or eax, 7
        mov [TABLES + 0x1000 + ecx * 4], eax
        inc ecx
        cmp ecx, 1024
        jb .next
        and byte [TABLES + 0x1000 + (HOLE >> 12) * 4], 0xfe
        mov eax, TABLES
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        popad
        ret
paging_off:
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        ret

r3:
.in:    in al, 0x80
        int BACK
.end_in:
.in_16: in al, 0x81
        int BACK
.end_in_16:
.in_word: in ax, 0x80
        int BACK
.outs:  outsb
        int BACK
.last_port: mov edx, 0xffff
        in al, dx
        int BACK
.end_last_port:
.rdtsc: rdtsc
        int BACK
.end_rdtsc:
.rdpmc: rdpmc
.rdmsr: rdmsr
.invlpg: invlpg [0]
.clts:  clts
.dr:    mov eax, dr0
.lmsw:  lmsw ax
.wbinvd: wbinvd
.unaligned: nop
.at_unaligned: mov eax, [value + 1]
        int BACK
.end_unaligned:
.write: nop
.at_write: mov [value + 1], ax
        int BACK
.aligned: mov eax, [value + 4]
        mov ax, [value + 2]
        mov al, [value + 1]
        movups xmm0, [value + 1]        ; not checked
        int BACK
.end_aligned:
.push:  sub esp, 2
.at_push: push eax
        int BACK
.double: nop
.at_double: fld qword [value + 4]
        int BACK
.movs:  mov esi, value + 1
        mov edi, value
.at_movs: movsd
        int BACK
.hole:  nop
.at_hole: mov eax, [HOLE]
        int BACK
.hole_write: nop
.at_hole_write: add [HOLE], eax
        int BACK
.pusha: mov esp, HOLE + 0x1010
.at_pusha: pushad
        int BACK
.popa:  mov edi, 0x12345
        mov esp, HOLE - 16
.at_popa: popad
        int BACK
.call:  mov esp, HOLE + 0x1000
.at_call: call .at_call
        int BACK
.enter: mov esp, HOLE + 0x1004
        mov ebp, 0x12345
.at_enter: enter 16, 0
        int BACK
.ret:   mov esp, HOLE
.at_ret: ret
.iret:  mov esp, HOLE - 4
.at_iret: iretd
.retf:  mov esp, HOLE - 4
.at_retf: retf
.call_far: mov esp, HOLE + 0x1004
.at_call_far: call (UCODE32 | 3):.at_call_far
.pop_mem: push eax
.at_pop_mem: pop dword [HOLE]
%include "end.inc"
