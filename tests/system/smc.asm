; Code that changes while it runs: the next instruction, one further on in the same stretch, one
; across a page boundary, by every kind of store, through another mapping; and the same bytes run in
; different modes (SDM vol 3 §8.1.3, 11.6).
%include "start.inc"

BUFFER  equ 0x210000                    ; page aligned
OTHER   equ 0x220000
BASED   equ SEL_FREE                    ; code with base BUFFER
BASED2  equ SEL_FREE + 8                ; ... BUFFER - 1000h
CODE_16 equ SEL_FREE + 16               ; 16-bit, base BUFFER
DIR     equ 0x50000
TABLE   equ 0x51000
BIG     equ 4
G       equ 8

        absolute user_vars
value:  resd 8

        section .text
        bits 32
; copy FROM, END, TO
%macro place 3
        mov esi, %1
        mov edi, %3
        mov ecx, %2 - %1
        rep movsb
%endmacro

main:
        topic "the next instruction"
        mov ecx, 3
.again: mov byte [.patched1 + 1], 0
        mov byte [.patched1 + 1], 5
.patched1: mov al, 0
        movzx eax, al
        is eax, 5
        dec ecx
        jnz .again
        mov byte [.patched2], 0x42      ; INC EDX for INC ECX
        xor edx, edx
        xor ecx, ecx
.patched2: inc ecx
        is edx, 1
        is ecx, 0
        mov dword [.patched3 + 1], 0x12345678
.patched3: mov eax, 0
        is eax, 0x12345678

        topic "further on in the same stretch"
        mov ecx, 2
.again4: mov byte [.patched4 + 2], cl
        lea edx, [ecx + 1]
        mov ebx, edx
        add ebx, ebx
        sub ebx, edx
        nop
.patched4: add ebx, 100
        lea edx, [ecx + ecx + 1]
        is ebx, edx
        dec ecx
        jnz .again4

        topic "a longer instruction, a shorter one"
        mov ebx, 1
        mov dword [.patched5], 0x0fc3ff90       ; NOP, INC EBX, and the start of NOP DWORD [EAX]
        mov dword [.patched5 + 4], 0x9090001f
.patched5: times 8 inc ebx
        is ebx, 2
        mov dword [.patched6], 0x43434343
        mov byte [.patched6 + 4], 0x43
        mov ebx, 0
.patched6: mov ecx, 0x43434343
        is ebx, 5

        topic "a branch"
        mov byte [.patched7], 0xeb      ; JMP for JNZ
        xor eax, eax
.patched7: jnz .there
        inc eax
.there: is eax, 0
        mov byte [.patched8 + 1], .far - .near
        xor eax, eax
.patched8: jmp short .near
.near:  inc eax
.far:   is eax, 0

        topic "behind, in a loop"
        xor ecx, ecx
        xor ebx, ebx
.loop9: add bl, 0
.imm9:  inc byte [.loop9 + 2]           ; adds 0, 1, 2, ...
        inc ecx
        cmp ecx, 20
        jb .loop9
        is ebx, 190

        topic "by every kind of store"
%macro by 2+                            ; what it patches is MOV EAX, imm32 at BUFFER, run twice
        mov dword [BUFFER], 0xb8
        mov word [BUFFER + 4], 0xc300
        call BUFFER
        mov ebx, %1
        mov edi, BUFFER + 1
        mov ecx, 1
        %2
        call BUFFER
        is eax, %1
%endmacro
        by 0x01010101, mov [edi], ebx
        by 0x02020202, xchg [edi], ebx
        by 0x00000001, add dword [edi], ecx
        by 0x80000000, bts dword [edi], 31
        by 0xffffffff, not dword [edi]
        by 0x00000003, lock xadd [edi], ebx
        by 0x00000001, setnz byte [edi]
        mov eax, 0
        by 0x04040404, call cmpxchg_it
        by 0x05050505, call stos_it
        by 0x06060606, call movs_it
        by 0x07070707, call push_it
        by 0x08080808, call pop_it
        by 0x09090909, call fist_it
        by 0x0a0a0a0a, call xmm_it
        by 0x0b0b0b0b, call cx8_it
        by 0x0c0c0c0c, call bytes_it
        by 0x0d0d0d0d, call cross_it
        by called.back, call called

        topic "REP over the instructions that follow"
        mov edi, .patched10
        mov ecx, 4
        mov al, 0x43
        xor ebx, ebx
        rep stosb
.patched10: dec ebx
        dec ebx
        dec ebx
        dec ebx
        is ebx, 4
        mov esi, .source11
        mov edi, .patched11
        mov ecx, 5
        rep movsb
.patched11: mov eax, 1
        is eax, 0x99
        jmp .after11
.source11: mov eax, 0x99
.after11:

        topic "a function that is made anew"
        mov ecx, 0
.next12: mov byte [BUFFER + 0x100], 0xb8
        mov [BUFFER + 0x101], ecx
        mov byte [BUFFER + 0x105], 0xc3
        call BUFFER + 0x100
        cmp eax, ecx
        jne .wrong12
        inc ecx
        cmp ecx, 5000
        jb .next12
.wrong12: is ecx, 5000

        topic "data beside code"
        place counted, counted.end, BUFFER + 0x200
        mov dword [BUFFER + 0x300], 0
        mov ecx, 5000
.next13: call BUFFER + 0x200
        loop .next13
        is [BUFFER + 0x300], 5000

        topic "an instruction across a page boundary"
        mov byte [BUFFER + 0xffd], 0xb8 ; MOV EAX, imm32: two bytes of it in the next page
        mov dword [BUFFER + 0xffe], 0x11111111
        mov byte [BUFFER + 0x1002], 0xc3
        call BUFFER + 0xffd
        is eax, 0x11111111
        mov word [BUFFER + 0x1000], 0x2222
        call BUFFER + 0xffd
        is eax, 0x22221111
        mov byte [BUFFER + 0xfff], 0x33
        call BUFFER + 0xffd
        is eax, 0x22223311
        mov byte [BUFFER + 0x1002], 0x48        ; DEC EAX
        mov byte [BUFFER + 0x1003], 0xc3
        call BUFFER + 0xffd
        is eax, 0x22223310
        mov dword [BUFFER + 0xffe], 0x04030201  ; a store across it
        call BUFFER + 0xffd
        is eax, 0x04030200
        mov byte [BUFFER + 0x1002], 0xc3

        topic "one page patches another, and goes there"
        mov dword [OTHER], 0x000001b8
        mov word [OTHER + 4], 0xc300
        call OTHER
        mov ecx, 100
.next14: mov [OTHER + 1], ecx
        call OTHER
        cmp eax, ecx
        jne .wrong14
        loop .next14
.wrong14: is ecx, 0

        topic "code that is chained: the target changes"
        place chain, chain.end, BUFFER + 0x400
        mov ebx, 0
        mov ecx, 10
        call BUFFER + 0x400             ; INC EBX in each round
        is ebx, 10
        mov byte [BUFFER + 0x400 + chain.target - chain], 0x4b  ; DEC EBX
        mov ecx, 4
        call BUFFER + 0x400
        is ebx, 6

        topic "the same bytes in 16-bit and 32-bit code"
        descriptor BASED, BUFFER, 0xfffff, 0x9a, BIG | G
        descriptor BASED2, BUFFER - 0x1000, 0xfffff, 0x9a, BIG | G
        descriptor CODE_16, BUFFER, 0xffff, 0x9a, 0
        mov dword [BUFFER], 0x345678b8  ; MOV EAX, 12345678h; RETF or MOV AX, 5678h; XOR AL, 12h; RETF
        mov word [BUFFER + 4], 0xcb12
        call BASED:0
        is eax, 0x12345678
        xor eax, eax
        push cs
        push dword .back16
        push word CODE32                ; a 16-bit RETF takes words
        push word .back16
        jmp CODE_16:0
.back16: is eax, 0x566a
        add esp, 8
        call BASED:0
        is eax, 0x12345678

        topic "the same bytes at another EIP"
        mov dword [BUFFER + 0x20], 0x000000e8   ; CALL +0; POP EAX; RETF
        mov dword [BUFFER + 0x24], 0x90cb5800
        call BASED:0x20
        is eax, 0x25
        call BASED2:0x1020
        is eax, 0x1025
        call BASED:0x20
        is eax, 0x25

        topic "through another mapping"
        call paging_on
        mov dword [BUFFER], 0x000001b8
        mov word [BUFFER + 4], 0xc300
        call BUFFER                     ; 800000h is the same page
        is eax, 1
        mov byte [0x800001], 2
        xor eax, eax
        cpuid                           ; another linear address: serialize
        call BUFFER
        is eax, 2
        call 0x800000
        is eax, 2
        mov byte [BUFFER + 1], 3
        xor eax, eax
        cpuid
        call 0x800000
        is eax, 3

        topic "another page at the same address"
        mov dword [OTHER], 0x000055b8
        mov word [OTHER + 4], 0xc300
        mov ecx, 20
.next15: mov dword [TABLE + 0x1000], OTHER | 7
        invlpg [0x800000]
        call 0x800000
        cmp eax, 0x55
        jne .wrong15
        mov dword [TABLE + 0x1000], BUFFER | 7
        invlpg [0x800000]
        call 0x800000
        cmp eax, 3
        jne .wrong15
        loop .next15
.wrong15: is ecx, 0
        mov dword [TABLE + 0x1000], OTHER | 7
        mov eax, cr3
        mov cr3, eax
        call 0x800000
        is eax, 0x55
        ; the second half of an instruction in a page that changes
        mov dword [BUFFER + 0xffd], 0x444444b8
        mov dword [BUFFER + 0x1000], 0xc3004444
        mov dword [OTHER + 0x1000], 0xc3005555
        mov dword [TABLE + 0x1000], BUFFER | 7
        mov dword [TABLE + 0x1004], (BUFFER + 0x1000) | 7
        mov eax, cr3
        mov cr3, eax
        mov word [BUFFER + 0x1002], 0xc3c3
        call 0x800ffd
        is eax, 0x44444444
        mov word [OTHER + 0x1002], 0xc3c3
        mov dword [TABLE + 0x1004], (OTHER + 0x1000) | 7
        invlpg [0x801000]
        call 0x800ffd
        is eax, 0x55554444

        topic "a code page that becomes read-only, and the way back"
        mov eax, cr0
        or eax, 0x10000                 ; WP
        mov cr0, eax
        mov dword [TABLE + 0x1000], BUFFER | 5
        invlpg [0x800000]
        call 0x800000
        fault PF, 3, {mov byte [0x800001], 9}
        call 0x800000
        is eax, 3
        mov dword [TABLE + 0x1000], BUFFER | 7
        invlpg [0x800000]
        mov byte [0x800001], 9
        call 0x800000
        is eax, 9
        mov eax, cr0
        and eax, 0x7ffeffff
        mov cr0, eax
        finish

; ---- Stores of EBX at EDI, for `by` ----
cmpxchg_it: mov eax, [edi]
        cmpxchg [edi], ebx
        ret
stos_it: mov eax, ebx
        stosd
        ret
movs_it: mov [value], ebx
        mov esi, value
        movsd
        ret
push_it: mov edx, esp
        lea esp, [edi + 4]
        push ebx
        mov esp, edx
        ret
pop_it: push ebx
        pop dword [edi]
        ret
fist_it: fninit
        mov [value], ebx
        fild dword [value]
        fistp dword [edi]
        ret
xmm_it: mov eax, cr4
        or eax, 0x200
        mov cr4, eax
        movd xmm0, ebx
        movd [edi], xmm0
        ret
cx8_it: push ebx
        mov eax, [edi]
        mov edx, [edi + 4]
        mov ecx, edx
        cmpxchg8b [edi]
        pop ebx
        ret
bytes_it:
        mov [edi + 3], bl
        mov [edi + 1], bl
        mov [edi], bl
        mov [edi + 2], bl
        ret
cross_it: mov [edi], bx
        mov [edi + 1], bh
        mov [edi + 2], bx
        ret
called: mov edx, esp                    ; CALL stores its return address
        lea esp, [edi + 4]
        call .back
.back:  mov esp, edx
        ret

counted: inc dword [BUFFER + 0x300]
        ret
.end:
chain:  jmp short .target
        nop
.target: inc ebx
        dec ecx
        jnz chain
        ret
.end:

; 4 MiB at their own addresses, then 800000h: BUFFER's page and the next
paging_on:
        mov dword [DIR], TABLE | 7
        mov dword [DIR + 8], (TABLE + 0x1000) | 7
        xor ecx, ecx
.next:  mov eax, ecx
        shl eax, 12
        or eax, 7
        mov [TABLE + ecx * 4], eax
        inc ecx
        cmp ecx, 1024
        jb .next
        mov dword [TABLE + 0x1000], BUFFER | 7
        mov dword [TABLE + 0x1004], (BUFFER + 0x1000) | 7
        mov eax, DIR
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        ret
%include "end.inc"
