; More hot code than there is room for: copies of one function, as large as they become as the translator's output, each with
; another first instruction; it must go on right when everything is thrown away in the middle.
%define LONG
%include "start.inc"

COPIES  equ 0x200000                    ; of 1 KiB each
MANY    equ 520
SOURCE  equ 0x50000                     ; aligned data
SINK    equ 0x51000
HOT     equ 17
ROUNDS  equ 4

        absolute user_vars
        alignb 8
copies: resq 1
calls:  resq 1

        section .text
        bits 32
main:
        need 1, 0, ecx, 28, "AVX"
        mov eax, cr4
        or eax, 0x40600                 ; OSXSAVE, OSFXSR
        mov cr4, eax
        mov eax, 7
        xor edx, edx
        xor ecx, ecx
        xsetbv
        call enter_long
        bits 64

        topic "copies, until everything is full, and again"
        mov edi, SOURCE
        mov ecx, 64
        mov eax, 0x1234567
.fill:  mov [rdi], eax
        imul eax, eax, 1103515245
        add eax, 12345
        add edi, 4
        dec ecx
        jnz .fill
        mov edi, COPIES
        mov edx, MANY
.copy:  mov esi, function
        mov ecx, function.end - function
        rep movsb
        add edi, 1024 - (function.end - function)
        dec edx
        jnz .copy

        mov r13d, ROUNDS                ; from the second one on the first copies are gone
.round: mov ebp, COPIES
        mov qword [copies], 0
.next:  xor edx, edx                    ; the first one of each round is shorter: the room's end comes elsewhere
        cmp qword [copies], 0
        jne .whole
        lea edx, [r13 + r13 * 4]        ; 5 bytes each
.whole:
        lea r12, [rbp + rdx]
        mov qword [calls], HOT
.again: mov r10d, SOURCE
        mov r11d, SINK
        xor eax, eax
        mov [r11], rax
        mov ebx, 5                      ; CF clear
        cmp ebx, 5
        call r12
        cmp eax, 6
        jne .not
        mov rax, [SOURCE]
        cmp rax, [SINK]
        jne .not
        mov rax, [SOURCE + 24]
        cmp rax, [SINK + 24]
        jne .not
        dec qword [calls]
        jnz .again
        add ebp, 1024
        inc qword [copies]
        cmp qword [copies], MANY
        jb .next
.not:   is [copies], MANY
        is [calls], 0
        dec r13d
        jnz .round
        finish

; Two blocks, 128 instructions at most together, fifteen registers of 32 bytes to be stored and loaded at each miss.
        align 64
function:
%assign n 0
%rep 63
        vmovaps ymm %+ n, [r10]
%assign n (n + 1) % 15
%endrep
        jc near .other
%rep 59
        vmovaps ymm %+ n, [r10]
%assign n (n + 1) % 15
%endrep
        lea eax, [rbx + 1]
        vmovaps [r11], ymm14
        vzeroupper
        ret
.other: lea eax, [rbx + 2]
        ret
.end:
%if function.end - function > 1024
%error "it has 1 KiB"
%endif
%include "end.inc"
