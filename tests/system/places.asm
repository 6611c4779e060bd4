; Hot code and where it lies: the same bytes in two modes, at two addresses, in another page behind the same address; jumps at
; a page's end, instructions across two; 32-bit code under registers whose upper halves are not zero.
%define LONG
%include "start.inc"

PD1     equ PDS + 0x1000                ; of the second GiB
PT      equ 0x40000
FRAMES  equ 0x300000                    ; one for each page
PAGES   equ 0x40000000                  ; eight pages of 4 KiB
BOTH    equ 0x310000                    ; code for two modes
HOT     equ 60
%define pte(n) (PT + 8 * (n))
%define frame(n) (FRAMES + 0x1000 * (n))

        absolute user_vars
        alignb 8
left:   resq 1
kept_rsp: resq 1
data:   resq 4

        section .text
        bits 32
%macro map 2
        mov qword [pte(%1)], (%2) | 7
        invlpg [PAGES + 0x1000 * (%1)]
%endmacro
%macro place 2                          ; FROM (up to FROM.end), TO
        mov esi, %1
        mov edi, %2
        mov ecx, %1.end - %1
        rep movsb
%endmacro
main:
        call enter_long
        bits 64
        mov qword [PD1], PT | 7
        mov rax, cr3
        mov cr3, rax
%assign n 0
%rep 8
        map n, frame(n)
%assign n n + 1
%endrep

        topic "the same bytes in two modes"
        place two_modes, BOTH
        mov qword [left], HOT
.modes: mov rax, 0x1ffffffff
        mov ecx, 3
        mov edx, BOTH
        call rdx                        ; 64 bits
        mov [data], rax
        mov rax, 0x1ffffffff
        mov ecx, 3
        call far dword [to_32]
        mov eax, eax
        mov [data + 8], rax
        dec qword [left]
        jnz .modes
        mov rax, 0x200000002
        mov [data + 16], rax
        is [data], [data + 16]          ; INC RAX three times
        mov eax, 0xffffffff
        is [data + 8], rax              ; DEC EAX, INC EAX

        topic "the same bytes at two addresses"
        place position, frame(1)
        map 2, frame(1)
        mov qword [left], HOT
.places: mov edx, PAGES + 0x1000
        call rdx
        mov [data], rax
        mov edx, PAGES + 0x2000
        call rdx
        mov [data + 8], rax
        dec qword [left]
        jnz .places
        is [data], PAGES + 0x1000 + position.here - position
        is [data + 8], PAGES + 0x2000 + position.here - position

        topic "another page behind the same address"
        place position, frame(3)
        mov byte [frame(3) + position.add - position + 1], 2
        mov qword [left], HOT
.remap: map 1, frame(1)
        mov edx, PAGES + 0x1000
        mov ebp, 3                      ; hot while it is there
.first: call rdx
        cmp ecx, 1 + 9
        jne .not
        dec ebp
        jnz .first
        map 1, frame(3)
        mov ebp, 3
.second: call rdx
        cmp ecx, 2 + 9
        jne .not
        dec ebp
        jnz .second
        mov qword [pte(1)], frame(1) | 7
        mov rax, cr3
        mov cr3, rax
        call rdx
        cmp ecx, 1 + 9
        jne .not
        dec qword [left]
        jnz .remap
.not:   is [left], 0

        topic "a page that is exchanged by code in it, between linked jumps"
        place exchange, frame(4)
        place exchange, frame(5)
        mov byte [frame(5) + exchange.add - exchange + 2], 7
        map 4, frame(4)
        mov qword [left], HOT
        mov r14d, PAGES + 0x4000
        mov ebx, 0
.exchange: mov ebp, frame(5) | 7
        call r14                        ; 1 at first, then 7
        mov ebp, frame(4) | 7
        call r14                        ; 7, then 1
        dec qword [left]
        jnz .exchange
        is rbx, HOT * 8

        topic "jumps at a page's end, instructions across two"
        place last, frame(6) + 0x1000 - (last.across - last) - 2
        mov edx, PAGES + 0x7000 - (last.across - last) - 2
        mov qword [left], HOT
.ends:  mov ecx, 5
        call rdx
        cmp eax, 5 * 0x01020304
        jne .not2
        dec qword [left]
        jnz .ends
.not2:  is [left], 0
        mov byte [frame(7) + 2], 2      ; of ADD EAX, 01020304h: its highest byte
        mov ecx, 5
        call rdx
        is rax, 5 * 0x02020304
        mov rax, [frame(7)]             ; the second half elsewhere
        mov [frame(2)], rax
        mov rax, [frame(7) + 8]
        mov [frame(2) + 8], rax
        mov byte [frame(2) + 1], 9
        map 7, frame(2)
        mov ecx, 5
        call rdx
        is rax, 5 * 0x02090304
        map 7, frame(7)
        mov ecx, 5
        call rdx
        is rax, 5 * 0x02020304
        mov qword [pte(7)], 0
        invlpg [PAGES + 0x7000]
        mov ecx, 5
        expect .gone
        call rdx
.gone:  caught PF, 0x0, -1
        is [exc_cr2], PAGES + 0x7000
        lea rcx, [rdx + last.across - last]
        is [exc_rip], rcx
        map 7, frame(7)

        topic "32-bit code under wide registers"
        mov [kept_rsp], rsp
        mov dword [data], 0x11
        mov dword [data + 4], 0x22
        mov qword [left], HOT
.wide:  mov rbx, 0xdeadbeef00000000 + data
        mov rbp, 0xfeedface00000000 + data
        mov rsi, 0x1234567800000000
        mov rdi, 0xffffffff00000001
        mov rcx, 0xaaaaaaaa00000000 + 3
        mov rdx, -1
        mov rax, 0x5555555500000000 + compat
        mov [data + 16], eax
        mov word [data + 20], CODE32
        mov word [data + 22], 0
        jmp far dword [data + 16]
.wide_back:
        mov rsp, [kept_rsp]
        cmp eax, 0x11 + 0x22 + 0x22 + 0x11 + 3
        jne .not3
        dec qword [left]
        jnz .wide
.not3:  is [left], 0
        finish

; Called near in 64-bit code and far in 32-bit code: CL bit 7 tells whether it has to leave by RETF.
        align 16
to_32:  dd thunk32, CODE32
        bits 32
thunk32: mov edx, BOTH
        call edx
        retf
        bits 64
        align 16
two_modes:
.next:  db 0x48, 0xff, 0xc0             ; INC RAX; or DEC EAX, INC EAX
        db 0x83, 0xe9, 0x01             ; SUB ECX, 1
        jnz .next
        test ecx, ecx
        jnz .next
        ret
.end:
        align 16
position:
.add:   mov ecx, 1
        call .here
.here:  pop rax
        test ecx, ecx
        jz .out
        add ecx, 4
        jmp .over
        nop
.over:  add ecx, 5
.out:   ret
.end:
        align 16
exchange:
        jmp .one
        nop
.one:   mov [pte(4)], rbp
        invlpg [r14]
        jmp .two
        nop
.two:
.add:   add ebx, 1
        add ebx, 1
        jmp .three
        nop
.three: sub ebx, 1
        ret
.end:
        align 16
last:   xor eax, eax
.next:  nop
.across: add eax, strict dword 0x01020304       ; two bytes in the first page
        dec ecx
        jnz .next
        ret
.end:
        bits 32
        align 16
compat: mov esp, USER_STACK
        mov eax, [ebx]
        add eax, [ebx + 4]
        push eax
        mov edx, [ebp + esi + 4]
        pop eax
        add eax, edx
        call .add
        push dword .there
        ret
.there: add eax, [ebx + edi * 4 - 4]
        sub eax, [ebx + esi]
        add eax, [ebp]
        lea ecx, [ecx + esi]
        lea eax, [eax + ecx]
        jmp CODE64:main.wide_back
.add:   push ebp
        mov ebp, esp
        xor edx, edx
        leave
        ret 0
%include "end.inc"
