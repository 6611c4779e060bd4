; System management mode by the PIIX4's port B2h: state on entry, what RSM restores in each mode,
; blocked interrupts, nested SMIs, relocation into SMRAM and its lock (SDM vol 3 ch. 31; 82371AB
; §3.3, 82441FX §3.2.19).
; run: -machine pc,smm=on
%define LONG
%include "start.inc"
%include "interrupt.inc"

SMBASE  equ 0x30000                     ; after reset
NEWBASE equ 0xa0000
DIR     equ 0x60000

        absolute user_vars
smi_count: resd 1
smm_regs: resd 8                        ; EAX EBX ECX EDX ESI EDI EBP ESP
smm_cr0: resd 1
smm_cr4: resd 1
smm_efer: resd 1
smm_flags: resd 1
smm_dr7: resd 1
smm_sel: resd 3                         ; CS DS SS
smm_revision: resd 1
again:  resd 1                          ; raise another SMI from within
new_base: resd 1
send:   resd 1                          ; write that to the ICR from within
in_smm: resd 1
seen_in_smm: resd 1
value:  resq 2

        section .text
        bits 32
%macro pci 2                            ; register of function 0:DEV.FN as 32 bits, into EAX
        mov eax, 0x80000000 | (%1) << 8 | (%2)
        mov dx, 0xcf8
        out dx, eax
        mov dx, 0xcfc
        in eax, dx
%endmacro
PM      equ 1 << 3 | 3
; smi: raise one, and see that it came.  Changes nothing but flags.
%macro smi 0
        push dword [smi_count]
        out 0xb2, al
        call wait_smi
%endmacro

main:
        call interrupts_init
        call apic_on
        mov esi, handler
        mov edi, SMBASE + 0x8000
        mov ecx, handler.end - handler
        rep movsb
        pci PM, 0
        is eax, 0x71138086
        pci PM, 0x58
        or eax, 1 << 25                 ; APMC_EN
        out dx, eax

        topic "entry"
        fault UD, NO_ERROR, {rsm}
        mov eax, 0x2ff
        mov dr7, eax
        mov eax, 0x11111111
        mov ebx, 0x22222222
        mov ecx, 0x33333333
        mov edx, 0x44444444
        mov esi, 0x55555555
        mov edi, 0x66666666
        mov ebp, 0x77777777
        stc
        out 0xb2, al
        pushfd
        mov [value], eax
        mov eax, 1000000
.wait:  dec eax
        jz .none
        cmp dword [smi_count], 0
        je .wait
        mov eax, [value]
        popfd
        jnc .lost_flags
        is eax, 0x11111111
        is ebx, 0x22222222
        is ecx, 0x33333333
        is edx, 0x44444444
        is esi, 0x55555555
        is edi, 0x66666666
        is ebp, 0x77777777
        jmp .entered
.lost_flags: is ebp, 0                  ; CF was not restored
.none:  mov esi, .no_smm
        jmp skip32
        [section .strings]
.no_smm: db "SMM", 0
        __SECT__
.entered:
        is [smi_count], 1
        is [smm_regs + 4], 0x22222222
        is [smm_regs + 8], 0x33333333
        is [smm_regs + 24], 0x77777777
        mov eax, [smm_cr0]
        and eax, 0x8000000d
        is eax, 0                       ; PG, TS, EM, PE
        is [smm_cr4], 0
        is [smm_efer], 0
        is [smm_flags], 2
        is [smm_dr7], 0x400
        is [smm_sel], SMBASE >> 4
        is [smm_sel + 4], 0
        is [smm_sel + 8], 0
        mov eax, dr7
        is eax, 0x6ff
        mov eax, 0x400
        mov dr7, eax
        mov eax, cr0
        and eax, 1
        is eax, 1
        mov ax, cs
        movzx eax, ax
        is eax, CODE32
        fault UD, NO_ERROR, {ud2}       ; IDT and stack are ours again

        topic "paging"
        mov dword [DIR], 0x87
        mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov eax, DIR
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80010000
        mov cr0, eax
        smi
        mov eax, cr0
        and eax, 0x80010001
        is eax, 0x80010001
        mov eax, cr3
        is eax, DIR
        mov eax, cr4
        and eax, 0x10
        is eax, 0x10
        is [smm_cr4], 0
        mov eax, cr0
        and eax, 0x7ffeffff
        mov cr0, eax

        topic "CPL 3 and virtual-8086 mode"
        user r3
        caught BACK, NO_ERROR, r3.end
        is [exc_cs], UCODE32 | 3
        is [exc_ss], UDATA | 3
        is [smi_count], 3
        v86 vm, 0x23002
        caught BACK, NO_ERROR, vm.end
        mov eax, [exc_flags]
        and eax, 0x23000
        is eax, 0x23000
        is [smi_count], 4
        real in_real
        is [smi_count], 5

        topic "segments that no table has any more"
        descriptor SEL_FREE, 0x50000, 0xfff, 0x92, 4
        mov dword [0x50010], 0x600df00d
        mov eax, SEL_FREE
        mov gs, eax
        descriptor SEL_FREE, 0, 0, 0, 0
        smi
        mov eax, [gs:0x10]
        is eax, 0x600df00d
        fault GP, 0, {mov al, [gs:0x1000]}

        topic "interrupts wait for RSM"
        mov word [IDT32 + 8 * 0x41], seen
        mov word [IDT32 + 8 * 2], seen
        mov dword [value], 0
        mov dword [seen_in_smm], 0
        mov dword [send], 0x40041
        sti
        smi
        cli
        is [value], 1
        is [seen_in_smm], 0
        mov dword [APIC_ICR_HIGH], 0
        mov dword [send], 0x400         ; NMI
        smi
        mov ecx, 1000
.spin:  pause
        loop .spin
        is [value], 2
        is [seen_in_smm], 0
        mov word [IDT32 + 8 * 2], vectors32 + 32

        topic "an SMI within an SMI"
        mov eax, [smi_count]
        mov [value], eax
        mov dword [again], 1
        smi
        mov ecx, 100000
.second: mov eax, [smi_count]
        sub eax, [value]
        cmp eax, 2
        je .twice
        loop .second
.twice: is eax, 2

        topic "SMRAM"
        pci 0, 0x70
        shr eax, 16
        movzx ebx, al                   ; SMRAM control, 72h
        mov dx, 0xcfe
        mov al, 0x4a                    ; G_SMRAME, D_OPEN
        out dx, al
        mov edi, NEWBASE + 0x8000
        mov ecx, 0x2000
        mov al, 0x5a
        rep stosb
        mov esi, handler
        mov edi, NEWBASE + 0x8000
        mov ecx, handler.end - handler
        rep movsb
        mov eax, [NEWBASE + 0x8000]
        is eax, [handler]               ; open: ours
        mov dx, 0xcfe
        mov al, 0x0a                    ; closed
        out dx, al
        mov eax, [NEWBASE + 0x8000]
        cmp eax, [handler]
        setne al
        movzx eax, al
        is eax, 1                       ; not for us
        mov dword [new_base], NEWBASE
        smi
        is [smm_sel], SMBASE >> 4
        smi
        is [smm_sel], NEWBASE >> 4      ; it runs from there
        mov dword [SMBASE + 0x8000], 0xffffffff
        smi
        mov dx, 0xcfe
        mov al, 0x1a                    ; locked
        out dx, al
        mov al, 0x4a
        out dx, al
        mov eax, [NEWBASE + 0x8000]
        cmp eax, [handler]
        setne al
        movzx eax, al
        is eax, 1
        smi

        has 0x80000001, 0, edx, 29
        jnz .long
        left_out "long mode"
        finish
.long:  topic "long mode"
        call enter_long
        bits 64
        mov rax, 0x1111111122222222
        mov rbx, 0x3333333344444444
        mov r8, 0x5555555566666666
        mov r15, 0x7777777788888888
        mov ebp, [smi_count]
        out 0xb2, al
        mov ecx, 1000000
.wait64: dec ecx
        jz .none64
        cmp [smi_count], ebp
        je .wait64
.none64: inc ebp
        mov ecx, [smi_count]
        is rcx, rbp
        mov rcx, 0x1111111122222222
        is rax, rcx
        mov rcx, 0x3333333344444444
        is rbx, rcx
        mov rcx, 0x5555555566666666
        is r8, rcx
        mov rcx, 0x7777777788888888
        is r15, rcx
        mov ecx, [smm_efer]
        is rcx, 0
        mov eax, cs
        is rax, CODE64
        mov ecx, 0xc0000080
        rdmsr
        and eax, 0x500
        is rax, 0x500
        fault UD, NO_ERROR, {ud2}
        user r364, 0x3002
        caught BACK, NO_ERROR, r364.end
        is [exc_cs], UCODE64 | 3
        call leave_long
        bits 32
        finish

wait_smi:                               ; [ESP + 4]: the count before
        pushfd
        push eax
        push ecx
        mov eax, [esp + 16]
        mov ecx, 1000000
.again: cmp [smi_count], eax
        jne .came
        loop .again
        is ecx, 1                       ; it did not come
.came:  pop ecx
        pop eax
        popfd
        ret 4

seen:   push eax
        inc dword [value]
        mov eax, [in_smm]
        or [seen_in_smm], eax
        mov dword [APIC_EOI], 0
        pop eax
        iretd
r3:     smi
        int BACK
.end:
        bits 64
r364:   out 0xb2, al
        mov ecx, 10000
.spin:  dec ecx
        jnz .spin
        int BACK
.end:
        bits 16
vm:     out 0xb2, al
        mov cx, 10000
.spin:  loop .spin
        int BACK
.end:
in_real:
        out 0xb2, al
        mov cx, 10000
.spin:  loop .spin
        ret

; Runs at SMBASE + 8000h: CS is SMBASE >> 4, the other segments start at 0.
handler:
        mov dword [in_smm], 1
        mov [smm_regs], eax
        mov [smm_regs + 4], ebx
        mov [smm_regs + 8], ecx
        mov [smm_regs + 12], edx
        mov [smm_regs + 16], esi
        mov [smm_regs + 20], edi
        mov [smm_regs + 24], ebp
        mov [smm_regs + 28], esp
        mov esp, 0xf800
        pushfd
        pop dword [smm_flags]
        mov eax, cr0
        mov [smm_cr0], eax
        mov eax, cr4
        mov [smm_cr4], eax
        mov eax, dr7
        mov [smm_dr7], eax
        mov ecx, 0xc0000080
        rdmsr
        mov [smm_efer], eax
        xor eax, eax
        mov ax, cs
        mov [smm_sel], eax
        mov ax, ds
        mov [smm_sel + 4], eax
        mov ax, ss
        mov [smm_sel + 8], eax
        mov eax, [cs:0xfefc]
        mov [smm_revision], eax
        mov ebx, [new_base]
        test ebx, ebx
        jz .stay
        cmp al, 0x64                    ; AMD's map of the state, or Intel's
        je .amd
        mov [cs:0xfef8], ebx
        jmp .moved
.amd:   mov [cs:0xff00], ebx
.moved: mov dword [new_base], 0
.stay:  mov eax, [send]
        test eax, eax
        jz .quiet
        mov dword [send], 0
        mov [dword APIC_ICR], eax
.quiet: inc dword [smi_count]
        cmp dword [again], 0
        je .once
        mov dword [again], 0
        out 0xb2, al
.once:  mov cx, 1000
.spin:  loop .spin
        mov dword [in_smm], 0
        mov eax, 0xdeadbeef             ; RSM brings the interrupted ones back
        mov ebx, eax
        mov ecx, eax
        mov edx, eax
        mov esi, eax
        mov edi, eax
        mov ebp, eax
        rsm
.end:
%include "end.inc"
