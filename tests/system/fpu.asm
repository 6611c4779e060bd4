; x87, MMX and SSE state: the images of FNSTENV, FNSAVE, FXSAVE and XSAVE in each mode and form,
; pointers of the last instruction, exceptions that wait for the next one, the old error interrupt
; (SDM vol 1 §8.1, 10.5, ch. 13).
%define LONG
%include "start.inc"

IMAGE   equ 0x50000
IMAGE2  equ 0x51000
IMAGE3  equ 0x52000

        absolute user_vars
        alignb 16
value:  resq 4
ten:    resb 16
count:  resd 1
xcr0:   resd 1
fdp_kept: resd 1

        section .text
        bits 32
; word_at ADDRESS, VALUE
%macro word_at 2
        movzx eax, word [%1]
        is eax, %2
%endmacro

; The data pointer, unless the processor keeps it for unmasked exceptions only (CPUID 7: EBX bit 6).
%macro fdp_is 2
        put %2
        pop rAX
        cmp dword [fdp_kept], 0
        cmove rAX, [%1]
        is [%1], rAX
%endmacro
main:
        mov eax, cr0
        or eax, 0x22                    ; NE, MP
        mov cr0, eax
        mov eax, cr4
        or eax, 0x600
        mov cr4, eax

        has 7, 0, ebx, 6
        setz al
        movzx eax, al
        mov [fdp_kept], eax

        topic "FNINIT, FNSTENV"
        fninit
        mov edi, IMAGE
        mov ecx, 1024
        mov eax, 0x5a5a5a5a
        rep stosd
        fnstenv [IMAGE]
        word_at IMAGE, 0x37f
        word_at IMAGE + 4, 0
        word_at IMAGE + 8, 0xffff
        is [IMAGE + 12], 0
        is [IMAGE + 20], 0
        is [IMAGE + 28], 0x5a5a5a5a
        fnstcw [value]
        word_at value, 0x37f

        topic "pointers of the last instruction"
        mov dword [value], 0x40490fdb
.fld:   fld dword [value]
        fnstenv [IMAGE]
        is [IMAGE + 12], .fld
        fdp_is IMAGE + 20, value
        word_at IMAGE + 8, 0x3fff
        word_at IMAGE + 4, 0x3800
.fadd:  fadd st0, st0
        fnstsw ax
        fnstcw [value]
        wait
        fnstenv [IMAGE]
        is [IMAGE + 12], .fadd          ; control instructions do not count

        topic "tags"
        fninit
        fldz
        fld1
        mov dword [value], 0x7f800000   ; infinity
        fld dword [value]
        mov dword [value], 0x7fc00000
        fld dword [value]
        mov dword [ten], 1              ; a denormal
        mov dword [ten + 4], 0
        mov dword [ten + 8], 0
        fld tword [ten]
        fnsave [IMAGE]
        word_at IMAGE + 8, 0b01_00_10_10_10_11_11_11
        movzx eax, word [IMAGE + 4]
        and eax, 0x3800
        is eax, 0x1800
        is [IMAGE + 28], 1              ; ST0
        is [IMAGE + 28 + 4], 0
        word_at IMAGE + 28 + 8, 0
        is [IMAGE + 38 + 4], 0xc0000000 ; ST1: the NaN
        word_at IMAGE + 38 + 8, 0x7fff
        is [IMAGE + 58 + 4], 0x80000000 ; ST3: 1.0
        word_at IMAGE + 58 + 8, 0x3fff
        fnstcw [value]
        word_at value, 0x37f            ; FNSAVE initializes
        fnstenv [IMAGE2]
        word_at IMAGE2 + 8, 0xffff
        frstor [IMAGE]
        fnstenv [IMAGE2]
        word_at IMAGE2 + 8, 0b01_00_10_10_10_11_11_11
        mov eax, [IMAGE + 12]
        is [IMAGE2 + 12], eax
        fstp tword [ten]
        is [ten], 1
        fstp st0
        fstp dword [value]
        is [value], 0x7f800000
        fstp dword [value]
        is [value], 0x3f800000
        fldenv [IMAGE]                  ; TOP and tags, not the registers
        fnstsw ax
        and eax, 0x3800
        is eax, 0x1800
        fninit

        topic "stack faults"
        fld1
        times 7 fldz
        fnstsw ax
        and eax, 0x3841
        is eax, 0
        fldz                            ; a ninth
        fnstsw ax
        and eax, 0x3a41
        is eax, 0x3a41                  ; C1: overflow; SF, IE; TOP 7
        fstp tword [ten]
        is [ten + 4], 0xc0000000
        word_at ten + 8, 0xffff         ; the indefinite number
        fninit
        fadd st0, st1
        fnstsw ax
        and eax, 0x0241
        is eax, 0x41                    ; C1 clear: underflow
        fninit

        topic "exceptions that wait"
        mov dword [value], 0x37e        ; invalid operation not masked
        fldcw [value]
        fldz
        fldz
.div:   fdiv st0, st1                   ; 0/0
        fnstsw ax
        and eax, 0x8081
        is eax, 0x8081
        fnstenv [IMAGE]                 ; does not wait, and masks everything
        is [IMAGE + 12], .div
        movzx eax, word [IMAGE + 18]
        and eax, 0x7ff
        is eax, 0x0f1                   ; D8 F1: the opcode is sure after an unmasked exception
        fnstcw [value]
        word_at value, 0x37f
        wait
        fldenv [IMAGE]                  ; brings it back
        fault MF, NO_ERROR, {fstp st0}
        fault MF, NO_ERROR, {wait}
        mov eax, 0x600df00d
        fnclex
        fstp tword [ten]
        is [ten + 4], 0                 ; ST0 was left as it was
        fninit
        mov dword [value], 0x360        ; precision is masked
        fldcw [value]
        fld1
        fldz
        fdivp st1, st0                  ; division by zero: nothing is popped
        fnstsw ax
        and eax, 0xb884
        is eax, 0xb084
        fnclex
        fninit
        mov dword [value], 0x33e
        fldcw [value]
        fld1
        fchs
        fsqrt
        fault MF, NO_ERROR, {fld1}
        fault MF, NO_ERROR, {fistp dword [value]}
        fault MF, NO_ERROR, {emms}      ; MMX waits as well
        fault MF, NO_ERROR, {movq mm0, mm1}
        fnsave [IMAGE]
        fld1                            ; initialized by it
        fninit

        topic "MMX"
        mov dword [value], 0x55667788
        mov dword [value + 4], 0x11223344
        fld1
        movq mm3, [value]
        fnsave [IMAGE]
        movzx eax, word [IMAGE + 4]
        and eax, 0x3800
        is eax, 0                       ; TOP is 0
        movzx eax, word [IMAGE + 8]
        and eax, 0xc0                   ; MM3 is a valid number, seen as a NaN
        is eax, 0x80
        is [IMAGE + 28 + 30], 0x55667788
        is [IMAGE + 28 + 34], 0x11223344
        word_at IMAGE + 28 + 38, 0xffff
        frstor [IMAGE]
        movq [value + 8], mm3
        is [value + 12], 0x11223344
        emms
        fnstenv [IMAGE]
        word_at IMAGE + 8, 0xffff

        topic "16-bit images"
        fninit
        fldz
        mov edi, IMAGE
        mov ecx, 64
        mov eax, 0x5a5a5a5a
        rep stosd
        o16 fnstenv [IMAGE]
        word_at IMAGE, 0x37f
        word_at IMAGE + 2, 0x3800
        word_at IMAGE + 4, 0x7fff
        is [IMAGE + 14], 0x5a5a5a5a
        o16 fnsave [IMAGE]
        word_at IMAGE + 14 + 8, 0
        is [IMAGE + 94], 0x5a5a5a5a
        fld1
        o16 frstor [IMAGE]
        fnstenv [IMAGE2]
        word_at IMAGE2 + 8, 0x7fff
        fninit
        real real_images
        word_at IMAGE3, 0x37f           ; 16 bits
        word_at IMAGE3 + 2, 0x3800
        word_at IMAGE3 + 4, 0x3fff
        word_at IMAGE3 + 6, real_images.fld
        movzx eax, word [IMAGE3 + 8]
        and eax, 0xf000                 ; bits 19:16 of the address; the opcode is not kept by all
        is eax, 0
        movzx eax, word [IMAGE3 + 10]
        mov [IMAGE3 + 0x70], eax
        fdp_is IMAGE3 + 0x70, value
        is [IMAGE3 + 0x80], 0xffff037f  ; 32 bits
        word_at IMAGE3 + 0x80 + 4, 0x3000
        word_at IMAGE3 + 0x80 + 8, 0x0fff
        word_at IMAGE3 + 0x80 + 12, real_images.fld2
        mov eax, [IMAGE3 + 0x80 + 16]
        and eax, 0x0ffff000             ; bits 31:16 of the address
        is eax, 0
        movzx eax, word [IMAGE3 + 0x80 + 20]
        mov [IMAGE3 + 0x70], eax
        fdp_is IMAGE3 + 0x70, value

        topic "FXSAVE"
        fninit
        fldz
        fld1
        mov dword [value], 0x12345678
        movd xmm5, [value]
        mov dword [value], 0x1fa0
        ldmxcsr [value]
        mov edi, IMAGE
        mov ecx, 1024
        mov eax, 0x5a5a5a5a
        rep stosd
.fxlast: fld dword [value + 16]
        fxsave [IMAGE]
        word_at IMAGE, 0x37f
        word_at IMAGE + 2, 0x2800
        movzx eax, byte [IMAGE + 4]
        is eax, 0xe0                    ; one bit each
        is [IMAGE + 8], .fxlast
        fdp_is IMAGE + 16, value + 16
        is [IMAGE + 24], 0x1fa0
        mov eax, [IMAGE + 28]
        and eax, 0xffff
        is eax, 0xffff                  ; MXCSR_MASK, with DAZ
        is [IMAGE + 48 + 4], 0x80000000 ; ST1
        is [IMAGE + 160 + 5 * 16], 0x12345678
        is [IMAGE + 512], 0x5a5a5a5a
        is [IMAGE + 464], 0x5a5a5a5a    ; the software's part
        fninit
        pxor xmm5, xmm5
        fxrstor [IMAGE]
        movd eax, xmm5
        is eax, 0x12345678
        fstp st0
        fstp dword [value]
        is [value], 0x3f800000
        fnstenv [IMAGE2]
        word_at IMAGE2 + 8, 0x7fff
        stmxcsr [value]
        is [value], 0x1fa0
        mov dword [IMAGE + 24], 0x10000
        fault GP, 0, {fxrstor [IMAGE]}
        fault GP, 0, {fxsave [IMAGE + 8]}
        mov dword [value], 0x1f80
        ldmxcsr [value]
        fninit

        topic "XSAVE"
        has 1, 0, ecx, 26
        jnz .xsave
        left_out "XSAVE"
        jmp .no_xsave
.xsave: xor ecx, ecx
        fault UD, NO_ERROR, {xgetbv}    ; CR4.OSXSAVE is clear
        mov eax, 1
        cpuid
        and ecx, 1 << 27
        is ecx, 0
        mov eax, cr4
        or eax, 1 << 18
        mov cr4, eax
        mov eax, 1
        cpuid
        and ecx, 1 << 27
        is ecx, 1 << 27                 ; CPUID follows CR4
        xor ecx, ecx
        xgetbv
        is eax, 1
        mov eax, 2
        xor edx, edx
        fault GP, 0, {xsetbv}           ; x87 is not optional
        mov eax, 5
        fault GP, 0, {xsetbv}           ; AVX needs SSE
        mov ecx, 1
        mov eax, 3
        fault GP, 0, {xsetbv}
        mov ecx, 0
        mov edx, 0x40000000
        fault GP, 0, {xsetbv}
        mov edx, 0
        mov eax, 3
        xsetbv
        user r3_xsetbv
        caught GP, 0, r3_xsetbv
        mov dword [xcr0], 3
        mov eax, 0xd
        xor ecx, ecx
        cpuid
        is ebx, 576                     ; what XCR0 needs
        has 1, 0, ecx, 28
        jz .sse_only
        xor ecx, ecx
        fault UD, NO_ERROR, {vpxor ymm0, ymm0, ymm0}
        mov eax, 7
        mov edx, 0
        xsetbv
        mov dword [xcr0], 7
        mov eax, 0xd
        xor ecx, ecx
        cpuid
        is ebx, 832
.sse_only:
        mov edi, IMAGE
        mov ecx, 1024
        xor eax, eax
        rep stosd
        fninit
        fld1
        mov dword [value], 0x77777777
        movd xmm2, [value]
        cmp dword [xcr0], 7
        jne .no_ymm
        vinsertf128 ymm2, ymm2, xmm2, 1
.no_ymm:
        mov eax, [xcr0]
        mov edx, 0
        xsave [IMAGE]
        mov eax, [xcr0]
        is [IMAGE + 512], eax           ; all in use
        is [IMAGE + 160 + 32], 0x77777777
        cmp eax, 7
        jne .no_ymm2
        is [IMAGE + 576 + 32], 0x77777777
.no_ymm2:
        fninit
        pxor xmm2, xmm2
        mov eax, 1                      ; x87 only
        xor edx, edx
        xrstor [IMAGE]
        movd eax, xmm2
        is eax, 0
        fstp dword [value]
        is [value], 0x3f800000
        mov eax, [xcr0]
        xor edx, edx
        xrstor [IMAGE]
        movd eax, xmm2
        is eax, 0x77777777
        mov dword [IMAGE + 512], 0      ; not in the image: initial state
        mov eax, 2
        xor edx, edx
        xrstor [IMAGE]
        movd eax, xmm2
        is eax, 0
        mov dword [IMAGE + 516], 1      ; reserved
        mov eax, [xcr0]
        fault GP, 0, {xrstor [IMAGE]}
        mov dword [IMAGE + 516], 0
        mov dword [IMAGE + 512], 8      ; not in XCR0
        fault GP, 0, {xrstor [IMAGE]}
        mov dword [IMAGE + 512], 0
        mov dword [IMAGE + 528], 1
        fault GP, 0, {xrstor [IMAGE]}
        mov dword [IMAGE + 528], 0
        fault GP, 0, {xsave [IMAGE + 16]}       ; 64 bytes
        mov eax, cr0
        or eax, 8
        mov cr0, eax
        fault NM, NO_ERROR, {xsave [IMAGE]}
        xor ecx, ecx
        xgetbv                          ; not stopped by TS
        clts
        mov ecx, 0xd
        has 0xd, 1, eax, 1
        jz .no_xsavec
        mov edi, IMAGE
        mov ecx, 1024
        xor eax, eax
        rep stosd
        mov dword [value], 0x66666666
        movd xmm2, [value]
        mov eax, 2
        xor edx, edx
        xsavec [IMAGE]
        mov eax, [IMAGE + 524]
        is eax, 0x80000000              ; compacted
        mov eax, [IMAGE + 512]
        and eax, 2
        is eax, 2
        pxor xmm2, xmm2
        mov eax, 2
        xrstor [IMAGE]
        movd eax, xmm2
        is eax, 0x66666666
.no_xsavec:
        mov eax, cr4
        and eax, ~(1 << 18)
        mov cr4, eax
.no_xsave:

        topic "long mode images"
        has 0x80000001, 0, edx, 29
        jz .no_long
        call enter_long
        bits 64
        fninit
.last:  fld dword [value]
        mov rax, 0x123456789abcdef0
        movq xmm13, rax
        o64 fxsave [IMAGE]
        mov rax, [IMAGE + 8]
        is rax, .last
        fdp_is IMAGE + 16, value
        mov rbx, 0x123456789abcdef0
        is [IMAGE + 160 + 13 * 16], rbx
        pxor xmm13, xmm13
        o64 fxrstor [IMAGE]
        movq rax, xmm13
        is rax, rbx
        fxsave [IMAGE]
        is [IMAGE + 160 + 13 * 16], rbx ; XMM8-15 in 64-bit code whatever the form
        call leave_long
        bits 32
        jmp .long_done
.no_long:
        left_out "long mode"
.long_done:

        topic "the error interrupt of old"
        mov al, 0x11                    ; 8259s: IRQ 0 is 20h, IRQ 8 is 28h
        out 0x20, al
        out 0xa0, al
        mov al, 0x20
        out 0x21, al
        mov al, 0x28
        out 0xa1, al
        mov al, 4
        out 0x21, al
        mov al, 2
        out 0xa1, al
        mov al, 1
        out 0x21, al
        out 0xa1, al
        mov al, 0xfb
        out 0x21, al
        mov al, 0xdf
        out 0xa1, al
        gate IDT32, 0x2d, CODE32, irq13, 0x8e
        mov dword [count], 0
        mov eax, cr0
        and eax, ~0x20                  ; NE
        mov cr0, eax
        fninit
        mov dword [value], 0x37e
        fldcw [value]
        fldz
        fldz
        sti
        fdiv st0, st1
        nop
        fld1                            ; a waiting instruction: FERR# is up by now
        nop
        nop
        nop
        cli
        is [count], 1
        finish

irq13:  inc dword [count]
        push eax
        out 0xf0, al
        fnclex
        mov al, 0x20
        out 0xa0, al
        out 0x20, al
        pop eax
        iretd

r3_xsetbv: xsetbv

        bits 16
real_images:
        fninit
        mov ax, IMAGE3 >> 4
        mov es, ax
.fld:   fld dword [value]
        fnstenv [es:0]
.fld2:  fld dword [value]
        o32 fnstenv [es:0x80]
        fninit
        ret
%include "end.inc"
