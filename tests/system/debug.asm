; Debug exceptions: breakpoints on execution, data and ports, single steps, ICEBP, general detect,
; DR6, RF, and the shadow of MOV SS (SDM vol 3 ch. 17).
%define LONG
%include "start.inc"

BASED   equ SEL_FREE
G       equ 8
BIG     equ 4

        absolute user_vars
        alignb 16
value:  resd 8
steps:  resd 1
step_rip: resd 32
step_dr6: resd 32
pointer: resq 2
old_sp: resd 1
go_on:  resd 1

        section .text
        bits 32
%macro set_dr 2                         ; number, value; changes EAX
        mov eax, %2
        mov dr%1, eax
%endmacro
%macro clear_dr6 0
        xor eax, eax
        mov dr6, eax
%endmacro
; dr6_is MASK, VALUE
%macro dr6_is 2
        mov eax, [exc_dr6]
        and eax, %1
        is eax, %2
%endmacro
EXEC0   equ 0x00000002
WRITE0  equ 0x00010002                  ; one byte
WRITE0_2 equ 0x00050002
WRITE0_4 equ 0x000d0002
RW0     equ 0x00030002
RW0_4   equ 0x000f0002
IO0     equ 0x00020002
; trap {INSTRUCTION}: raises #DB behind it
%macro trap_ 2
        expect %%after
        %2
%%next: mov dword [recover], 0
%%after: caught_ %1, DB_, NO_ERROR, %%next
%endmacro
%define trap trap_ __LINE__,
%macro quiet_ 2                         ; raises nothing
        expect %%after
        %2
        mov dword [recover], 0
%%after: caught_ %1, NO_EXC, 0, 0
%endmacro
%define quiet quiet_ __LINE__,
; Steps from here are counted, by a handler of their own, until step_end.
%macro step_begin 0
        mov dword [steps], 0
        mov word [IDT32 + 8], stepped
        push dword 0x102
        popfd
%endmacro
%macro step_end 0                       ; PUSH and POPFD are steps, the one after is not
        push dword 2
        popfd
        mov word [IDT32 + 8], vectors32 + 16
%endmacro

main:
        topic "fixed bits"
        clear_dr6
        mov eax, dr6
        is eax, 0xffff0ff0
        set_dr 7, 0
        mov eax, dr7
        is eax, 0x400
        set_dr 0, 0x12345678
        mov eax, dr0
        is eax, 0x12345678
        db 0x0f, 0x21, 0xe0             ; MOV EAX, DR4: an alias of DR6
        is eax, 0xffff0ff0
        mov eax, cr4
        or eax, 8
        mov cr4, eax
        fault UD, NO_ERROR, {db 0x0f, 0x21, 0xe0}
        fault UD, NO_ERROR, {db 0x0f, 0x23, 0xe8}
        mov eax, cr4
        and eax, ~8
        mov cr4, eax

        topic "breakpoints on execution"
        set_dr 0, bp_code
        set_dr 7, EXEC0
        xor ebx, ebx
        mov dword [go_on], .hit1
        expect .hit1
        jmp bp_code
.hit1:  caught DB_, NO_ERROR, bp_code   ; before it
        is ebx, 0
        dr6_is 0xe00f, 1
        mov eax, [exc_flags]
        and eax, 0x10000
        is eax, 0                       ; RF: the handler must set it itself
        clear_dr6
        mov dword [go_on], .hit2
        expect .hit2
        push dword 0x10002              ; RF
        push dword CODE32
        push dword bp_code
        iretd
.hit2:  caught NO_EXC, 0, 0
        is ebx, 1
        pushfd
        pop eax
        and eax, 0x10000
        is eax, 0
        mov dword [go_on], .hit3
        expect .hit3
        jmp bp_code                     ; RF was for one instruction
.hit3:  caught DB_, NO_ERROR, bp_code
        set_dr 0, bp_ud
        expect .hit4
        jmp bp_ud                       ; the breakpoint comes before the fault
.hit4:  caught DB_, NO_ERROR, bp_ud
        expect .hit5
        push dword 0x10002
        push dword CODE32
        push dword bp_ud
        iretd
.hit5:  caught UD, NO_ERROR, bp_ud
        mov eax, [exc_flags]
        and eax, 0x10000
        is eax, 0x10000                 ; other faults push RF set
        set_dr 3, bp_code
        set_dr 7, 0x80
        mov dword [go_on], .hit6
        expect .hit6
        jmp bp_code
.hit6:  caught DB_, NO_ERROR, bp_code
        dr6_is 0xe008, 8
        clear_dr6
        set_dr 7, 0x40                  ; L3 is as good as G3
        mov dword [go_on], .hit7
        expect .hit7
        jmp bp_code
.hit7:  caught DB_, NO_ERROR, bp_code
        set_dr 7, 0
        clear_dr6
        mov dword [go_on], .quiet8
        expect .quiet8
        jmp bp_code
.quiet8: caught NO_EXC, 0, 0
        descriptor BASED, 0x1000, 0xfffff, 0x9a, BIG | G
        set_dr 0, bp_back               ; linear addresses
        set_dr 7, EXEC0
        mov dword [pointer], bp_back
        sub dword [pointer], 0x1000
        mov dword [pointer + 4], BASED
        expect .hit9
        jmp far [pointer]
.hit9:  is [exc_vec], DB_
        mov eax, [pointer]
        is [exc_rip], eax
        clear_dr6
        set_dr 7, 0
        user r3.bp, 2
        caught BACK, NO_ERROR, r3.end_bp
        set_dr 0, r3.bp
        set_dr 7, EXEC0
        user r3.bp, 2
        caught DB_, NO_ERROR, r3.bp
        clear_dr6

        topic "breakpoints on writes"
        set_dr 0, value + 5
        set_dr 7, WRITE0
        trap {mov byte [value + 5], 1}
        dr6_is 0xe00f, 1
        clear_dr6
        quiet {mov al, [value + 5]}
        quiet {mov byte [value + 4], 1}
        quiet {mov byte [value + 6], 1}
        trap {mov dword [value + 4], 1} ; any overlap
        trap {mov dword [value + 2], 1}
        quiet {mov dword [value + 1], 1}
        quiet {mov dword [value + 6], 1}
        trap {inc dword [value + 4]}
        trap {xchg eax, [value + 4]}
        push eax
        trap {pop dword [value + 4]}
        mov edi, value + 4
        trap {stosd}
        mov esi, value + 8
        mov edi, value + 4
        trap {movsd}
        trap {fnstcw [value + 4]}
        trap {sgdt [value + 4]}
        mov edi, value + 5
        expect .called
        call store_there
        mov dword [recover], 0
.called: caught DB_, NO_ERROR, store_there.next
        set_dr 7, WRITE0_2              ; DR0's low bit does not count
        trap {mov byte [value + 4], 1}
        trap {mov byte [value + 5], 1}
        quiet {mov byte [value + 6], 1}
        set_dr 7, WRITE0_4
        trap {mov byte [value + 4], 1}
        trap {mov byte [value + 7], 1}
        trap {mov word [value + 3], 1}
        quiet {mov byte [value + 8], 1}
        quiet {mov byte [value + 3], 1}
        mov [old_sp], esp
        mov esp, value + 8
        expect .pushed
        mov dword [recover_sp], STACK
        push eax
.after_push: mov dword [recover], 0
.pushed: mov esp, [old_sp]
        caught DB_, NO_ERROR, .after_push

        topic "breakpoints on reads and writes"
        set_dr 7, RW0
        trap {mov al, [value + 5]}
        trap {mov [value + 5], al}
        trap {cmp byte [value + 5], 1}
        trap {push dword [value + 4]}
        pop eax
        mov esi, value + 4
        trap {lodsd}
        quiet {lea eax, [value + 5]}
        quiet {prefetchnta [value + 5]}
        set_dr 1, value + 9
        set_dr 7, 0x0013000a            ; 1: writes of one byte as well
        mov esi, value + 4
        mov edi, value + 8
        trap {movsd}
        dr6_is 0xe003, 3                ; both at once
        clear_dr6
        set_dr 7, RW0
        user r3.load, 2
        caught DB_, NO_ERROR, r3.after_load
        set_dr 7, RW0_4
        mov esi, value
        mov edi, value + 16
        mov ecx, 4
        cld
        expect .reps                    ; after the iteration that reads it
.rep:   rep movsd
        mov dword [recover], 0
.reps:  caught DB_, NO_ERROR, .rep
        is ecx, 2
        is esi, value + 8
        set_dr 7, 0
        clear_dr6

        topic "breakpoints on ports"
        mov eax, cr4
        or eax, 8                       ; DE
        mov cr4, eax
        set_dr 0, 0x80
        set_dr 7, IO0
        trap {out 0x80, al}
        dr6_is 0xe00f, 1
        trap {in al, 0x80}
        quiet {out 0x81, al}
        quiet {mov al, [0x80]}
        set_dr 7, 0
        mov eax, cr4
        and eax, ~8
        mov cr4, eax
        clear_dr6

        topic "single steps"
        expect .stepped1
        push dword 0x102
        popfd                           ; TF counts from the next instruction on
        nop
.next1: mov dword [recover], 0
.stepped1: caught DB_, NO_ERROR, .next1
        dr6_is 0xe00f, 0x4000           ; BS
        mov eax, [exc_flags]
        and eax, 0x10100
        is eax, 0x100                   ; TF as it was, no RF
        clear_dr6
        step_begin
        inc eax
.s1:    jmp .s2
.s2:    nop
.s3:    step_end
        is [steps], 5                   ; ... PUSH and POPFD at the end
        is [step_rip], .s1
        is [step_rip + 4], .s2
        is [step_rip + 8], .s3
        is [step_dr6], 0xffff4ff0
        mov esi, value
        mov edi, value + 16
        mov ecx, 3
        step_begin
.rep2:  rep movsb
.rep_end: step_end
        is [steps], 5                   ; each iteration is a step
        is [step_rip], .rep2
        is [step_rip + 4], .rep2
        is [step_rip + 8], .rep_end
        mov ecx, 0
        step_begin
        rep movsb
        step_end
        is [steps], 3
        expect .faulted                 ; a fault, no step
        push dword 0x102
        popfd
.ud:    ud2
.faulted: caught UD, NO_ERROR, .ud
        mov eax, [exc_flags]
        and eax, 0x10100
        is eax, 0x10100
        gate IDT32, 0x40, CODE32, handler, 0x8e
        step_begin
        int 0x40                        ; its handler is not stepped through, nor is INT a step of its own
.s5:    nop
.s6:    step_end
        is [steps], 3
        is [step_rip], .s6
        user r3.step, 0x102
        caught DB_, NO_ERROR, r3.after_step
        dr6_is 0xe00f, 0x4000
        clear_dr6
        step_begin
        cli
        sti
        cli
        pushfd
        pop eax
        step_end
        is [steps], 7
        and eax, 0x100
        is eax, 0x100                   ; PUSHF shows TF

        topic "MOV SS and POP SS"
        mov ebx, ss
        step_begin
        mov ss, ebx
.s7:    nop
.s8:    step_end
        is [steps], 3                   ; no step between the two
        is [step_rip], .s8
        push ebx
        step_begin
        pop ss
        nop
.s9:    step_end
        is [steps], 3
        is [step_rip], .s9
        set_dr 0, .bp10
        set_dr 7, EXEC0
        clear_dr6
        expect .hit10
        mov ss, ebx
.bp10:  nop                             ; no breakpoint here, except on AMD's
        mov dword [recover], 0
.hit10: xor eax, eax
        cpuid
        cmp ebx, "Auth"
        mov ebx, DATA
        je .amd10
        caught NO_EXC, 0, 0
        jmp .done10
.amd10: caught DB_, NO_ERROR, .bp10
.done10:
        clear_dr6
        mov [value + 4], ebx
        set_dr 0, value + 4
        set_dr 7, RW0_4
        expect .hit11
        mov ss, [value + 4]             ; a data breakpoint waits until behind the next one
        nop
.after11: mov dword [recover], 0
.hit11: caught DB_, NO_ERROR, .after11
        set_dr 7, 0
        clear_dr6

        topic "ICEBP"
        expect .icebp
        db 0xf1
.after_icebp: mov dword [recover], 0
.icebp: caught DB_, NO_ERROR, .after_icebp
        dr6_is 0xe00f, 0

        topic "general detect"
        set_dr 7, 0x2000
        fault DB_, NO_ERROR, {mov eax, dr0}
        dr6_is 0xe00f, 0x2000           ; BD
        mov eax, dr7
        is eax, 0x400                   ; GD is clear again
        clear_dr6
        set_dr 7, 0x2000
        fault DB_, NO_ERROR, {mov dr6, eax}
        clear_dr6

        topic "steps of branches"
        mov ecx, 0x1d9                  ; DEBUGCTL
        expect .btf_none
        rdmsr
        or eax, 2
        wrmsr
        rdmsr
        and eax, 2
        jz .btf_none
        step_begin
        nop
        nop
        jmp .b1
        nop
.b1:    nop
        step_end
        mov dword [recover], 0
        is [steps], 4                   ; #DB clears BTF: plain steps follow
        is [step_rip], .b1
        mov ecx, 0x1d9
        rdmsr
        and eax, 2
        is eax, 0
        jmp .btf_done
.btf_none:
        mov dword [recover], 0
        left_out "BTF"
.btf_done:
        clear_dr6

        has 0x80000001, 0, edx, 29
        jnz .long
        left_out "long mode"
        finish
.long:  topic "long mode"
        call enter_long
        bits 64
        xor eax, eax
        mov dr6, rax
        mov eax, value + 8
        mov dr0, rax
        mov eax, 0x00090002             ; eight bytes
        mov dr7, rax
        trap {mov byte [value + 8], 1}
        trap {mov byte [value + 15], 1}
        quiet {mov byte [value + 16], 1}
        trap {mov [value + 1], rax}
        mov rax, 0x123456789a
        mov dr1, rax
        mov rbx, dr1
        is rbx, rax
        mov eax, .bp
        mov dr0, rax
        mov eax, EXEC0
        mov dr7, rax
        expect .hit
        nop
.bp:    nop
        mov dword [recover], 0
.hit:   caught DB_, NO_ERROR, .bp
        mov eax, 0x400
        mov dr7, rax
        xor eax, eax
        mov dr6, rax
        expect .single
        push 0x102
        popfq
        nop
.next:  mov dword [recover], 0
.single: caught DB_, NO_ERROR, .next
        mov rbx, 0x100000000
        fault GP, 0, {mov dr6, rbx}
        fault GP, 0, {mov dr7, rbx}
        fault UD, NO_ERROR, {db 0x44, 0x0f, 0x21, 0xc0}     ; DR8
        call leave_long
        bits 32
        finish

        bits 32
bp_code: inc ebx
        mov dword [recover], 0
        jmp [go_on]
bp_ud:  ud2
bp_back: int BACK
stepped:
        push eax
        push ecx
        mov ecx, [ss:steps]
        cmp ecx, 32
        jae .full
        mov eax, [esp + 8]
        mov [step_rip + ecx * 4], eax
        mov eax, dr6
        mov [step_dr6 + ecx * 4], eax
.full:  inc dword [steps]
        xor eax, eax
        mov dr6, eax
        pop ecx
        pop eax
        iretd
handler:
        nop
        nop
        iretd
store_there:
        mov byte [edi], 1
.next:  ret
r3:
.bp:    nop
        int BACK
.end_bp:
.load:  mov al, [value + 5]
.after_load: int BACK
.step:  nop
.after_step: int BACK
%include "end.inc"
