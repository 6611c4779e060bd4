; SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, FSGSBASE: where they lead, what they load, what they
; refuse (SDM vol 2 at each; vol 3 §5.8.7, 5.8.8; APM vol 2 §6.1).
; run:
; run: -cpu Skylake-Client
; run: -cpu EPYC
%define LONG
%include "start.inc"

        absolute user_vars
value:  resq 2
seen:   resq 16
seen_cs: resq 1
seen_ss: resq 1
seen_flags: resq 1
seen_sp: resq 1
vendor_amd: resd 1

EFER    equ 0xc0000080
STAR    equ 0xc0000081
LSTAR   equ 0xc0000082
CSTAR   equ 0xc0000083
FMASK   equ 0xc0000084
FS_BASE equ 0xc0000100
GS_BASE equ 0xc0000101
KERNEL_GS equ 0xc0000102

%macro set_msr 2-3 0                    ; MSR, low, high; changes EAX, ECX, EDX
        mov ecx, %1
        mov eax, %2
        mov edx, %3
        wrmsr
%endmacro
        section .text
        bits 32
main:
        xor eax, eax
        cpuid
        cmp ebx, "Auth"
        sete byte [vendor_amd]

        topic "SYSENTER in protected mode"
        has 1, 0, edx, 11
        jz .no_sep
        set_msr 0x174, 0
        user r3.enter
        caught GP, 0, r3.enter          ; a null CS
        set_msr 0x174, CODE32
        set_msr 0x175, STACK1
        set_msr 0x176, sysenter_32
        user r3.enter, 0x202
        caught BACK, NO_ERROR, r3.exited
        is [seen_cs], CODE32
        is [seen_ss], DATA
        is [seen_sp], STACK1
        mov eax, [seen_flags]
        and eax, 0x20200
        is eax, 0                       ; IF and VM are cleared
        is [exc_cs], UCODE32 | 3
        is [exc_ss], UDATA | 3
        is [exc_sp], USER_STACK - 64
        user r3.exit
        caught GP, 0, r3.exit           ; CPL 0 only
        set_msr 0x174, 3                ; as null as 0
        fault GP, 0, {sysexit}
        v86 vm_enter
        caught GP, 0, vm_enter
        set_msr 0x174, CODE32
        v86 vm_enter, 0x23202
        caught BACK, NO_ERROR, r3.exited
        mov eax, [seen_flags]
        and eax, 0x20200
        is eax, 0
        real real_enter
        jmp .sep_done
.no_sep: left_out "SYSENTER"
.sep_done:
        has 0x80000001, 0, edx, 29
        jnz .long
        left_out "long mode"
        finish
.long:  topic "SYSCALL"
        call enter_long
        bits 64
        user r364.syscall
        caught UD, NO_ERROR, r364.syscall       ; EFER.SCE is clear
        fault UD, NO_ERROR, {o64 sysret}
        mov ecx, EFER
        rdmsr
        or eax, 1
        wrmsr
        set_msr STAR, 0, UCODE32 << 16 | CODE64
        set_msr LSTAR, syscall_64
        set_msr FMASK, 0x40600
        rdmsr
        is rax, 0x40600
        user r364.syscall, 0x40ed7
        caught BACK, NO_ERROR, r364.after_sysret
        is [seen + 8], r364.after_syscall       ; RCX
        is [seen + 16], 0x40ed7         ; R11
        is [seen_flags], 0x8d7 & ~0x600 ; less what FMASK says
        is [seen_cs], CODE64
        is [seen_ss], DATA2
        is [seen_sp], USER_STACK        ; RSP is the program's affair
        is [exc_cs], UCODE64 | 3
        is [exc_ss], UDATA | 3
        mov rax, [exc_flags]
        and eax, 0x40ed7
        is rax, 0x40ed7                 ; SYSRET takes them from R11
        user r364.sysret
        caught GP, 0, r364.sysret
        ; at CPL 0 it works as well, with the same segments
        expect .from_kernel
        mov dword [value], 0
        syscall
        int BACK
.from_kernel: caught BACK, NO_ERROR, -1

        topic "SYSRET"
        mov ecx, r364.after_sysret - 2
        mov r11d, 0x13202               ; RF, reserved bits: not all get through
        mov [value], rsp
        expect .sysret
        mov rsp, USER_STACK
        o64 sysret
.sysret: caught BACK, NO_ERROR, r364.after_sysret
        mov rax, [exc_flags]
        and eax, 0x33200
        is rax, 0x3200                  ; IOPL and IF come along, RF and VM do not
        is [exc_sp], USER_STACK
        mov ecx, r364.after_sysret - 2
        mov r11d, 0x302                 ; a single step ends with SYSRET itself
        expect .sysret_tf
        mov rsp, USER_STACK
        o64 sysret
.sysret_tf: caught DB_, NO_ERROR, r364.after_sysret - 2
        is [exc_cs], UCODE64 | 3
        mov ecx, r3.compat
        mov r11d, 2
        expect .sysret32
        mov rsp, USER_STACK
        sysret                          ; to 32-bit code
.sysret32: caught BACK, NO_ERROR, r3.end_compat
        is [exc_cs], UCODE32 | 3
        is [exc_ss], UDATA | 3
        cmp dword [vendor_amd], 0
        jne .amd_target                 ; AMD faults at CPL 3, at the target
        mov rcx, 0x0000800000000000
        mov r11d, 2
        fault GP, 0, {o64 sysret}
        is [exc_cs], CODE64
.amd_target:

        topic "SYSCALL from compatibility mode"
        expect .compat
        push UDATA | 3
        push USER_STACK
        push 2
        push UCODE32 | 3
        push r3.syscall
        iretq
.compat: cmp dword [vendor_amd], 0
        jne .amd_compat
        caught UD, NO_ERROR, r3.syscall ; Intel's do not know it there
        jmp .compat_done
.amd_compat:
        set_msr CSTAR, syscall_compat
        expect .compat2
        push UDATA | 3
        push USER_STACK
        push 2
        push UCODE32 | 3
        push r3.syscall
        iretq
.compat2: caught BACK, NO_ERROR, r3.after_syscall + 2
        is [seen_cs], CODE64
.compat_done:

        topic "SYSENTER in long mode"
        has 1, 0, edx, 11
        jz .no_sep64
        set_msr 0x174, CODE32
        set_msr 0x175, STACK1 & 0xffffffff, 0
        set_msr 0x176, sysenter_64
        user r364.enter, 0x202
        cmp dword [vendor_amd], 0
        jne .amd_enter
        caught BACK, NO_ERROR, r364.exited
        is [seen_cs], CODE32            ; the selector; the code runs in 64 bits
        is [seen_ss], DATA
        is [seen_sp], STACK1
        is [exc_cs], UCODE64 | 3
        is [exc_ss], UDATA2 | 3
        expect .exit32
        mov edx, r3.compat
        mov ecx, USER_STACK
        sysexit                         ; to 32-bit code
.exit32: caught BACK, NO_ERROR, r3.end_compat
        is [exc_cs], UCODE32 | 3
        mov rdx, 0x0000800000000000
        mov ecx, USER_STACK
        fault GP, 0, {o64 sysexit}
        mov rcx, rdx
        mov edx, r364.exited - 2
        fault GP, 0, {o64 sysexit}
        jmp .no_sep64
.amd_enter:
        caught UD, NO_ERROR, r364.enter ; AMD's do not know it in long mode
.no_sep64:

        topic "SWAPGS"
        set_msr GS_BASE, value, 0
        set_msr KERNEL_GS, 0x55555000, 0x1234
        mov qword [value], 0x600df00d
        is [gs:0], 0x600df00d
        swapgs
        mov ecx, GS_BASE
        rdmsr
        is rax, 0x55555000
        is rdx, 0x1234
        mov ecx, KERNEL_GS
        rdmsr
        is rax, value
        is rdx, 0
        swapgs
        is [gs:0], 0x600df00d
        user r364.swapgs
        caught GP, 0, r364.swapgs
        mov eax, UDATA
        mov gs, eax                     ; a selector brings its own base
        mov ecx, GS_BASE
        rdmsr
        is rax, 0
        mov ecx, KERNEL_GS
        rdmsr
        is rax, 0x55555000              ; and leaves the other
        jmp far dword [.compat_swapgs]
.compat_swapgs: dd swapgs_32, CODE32
        bits 32
swapgs_32:
        fault UD, NO_ERROR, {db 0x0f, 0x01, 0xf8}
        jmp CODE64:main.swapgs_done
        bits 64
main.swapgs_done:
        topic "FSGSBASE"
        has 7, 0, ebx, 0
        jnz main.fsgsbase
        left_out "FSGSBASE"
        jmp main.done
main.fsgsbase:
        fault UD, NO_ERROR, {rdfsbase rax}      ; CR4.FSGSBASE is clear
        mov rax, cr4
        bts rax, 16
        mov cr4, rax
        mov rax, 0x0000123456789abc
        wrfsbase rax
        rdfsbase rbx
        is rbx, rax
        mov ecx, FS_BASE
        rdmsr
        is rax, 0x56789abc
        mov rax, -1
        rdfsbase eax
        mov ebx, 0x56789abc
        is rax, rbx
        mov rax, -1
        wrgsbase eax
        rdgsbase rbx
        mov eax, -1
        is rbx, rax                     ; 32 bits, the rest zero
        mov rax, 0x0000800000000000
        fault GP, 0, {wrfsbase rax}
        user r364.gsbase
        caught BACK, NO_ERROR, r364.after_gsbase
        is [seen], 0x12345
        jmp far dword [main.compat_fsgsbase]
main.compat_fsgsbase: dd fsgsbase_32, CODE32
        bits 32
fsgsbase_32:
        fault UD, NO_ERROR, {db 0xf3, 0x0f, 0xae, 0xc0} ; 64-bit code only
        jmp CODE64:main.done
        bits 64
main.done:
        set_msr GS_BASE, 0
        set_msr FS_BASE, 0
        call leave_long
        bits 32
        finish

        bits 32
%macro look 0
        mov eax, cs
        mov [seen_cs], rAX
        mov eax, ss
        mov [seen_ss], rAX
        mov [seen_sp], rSP
%endmacro
sysenter_32:
        mov eax, DATA
        mov ds, eax
        look
        pushfd
        pop dword [seen_flags]
        mov edx, r3.exited - 2
        mov ecx, USER_STACK - 64
        sysexit
        bits 64
sysenter_64:
        look
        pushfq
        pop qword [seen_flags]
        mov edx, r364.exited - 2
        mov ecx, USER_STACK - 64
        o64 sysexit
syscall_64:
        mov [seen + 8], rcx
        mov [seen + 16], r11
        look
        pushfq
        pop qword [seen_flags]
        mov ecx, ecx
        o64 sysret
syscall_compat:
        mov [seen + 8], rcx
        look
        sysret

r364:
.syscall: syscall
.after_syscall:
        int BACK
.after_sysret:
.sysret: o64 sysret
.enter: sysenter
.after_enter: nop
        int BACK
.exited:
.swapgs: swapgs
.gsbase: mov eax, 0x12345
        wrgsbase rax
        rdgsbase rbx
        mov [seen], rbx
        int BACK
.after_gsbase:
        bits 32
r3:
.enter: sysenter
        nop
        int BACK
.exited:
.exit:  sysexit
.compat: int BACK
.end_compat:
.syscall: syscall
.after_syscall: int BACK
        bits 16
vm_enter: sysenter
real_enter:
        fault GP, NO_ERROR, {sysenter}
        fault GP, NO_ERROR, {sysexit}
        ret
%include "end.inc"
