; A guest to look at: known bytes in memory, page tables of every kind (MODE), and a loop that calls and stores.
;
;       50000h  "needle", words and numbers        60000h..  page tables
;
; Prints "ready" on port E9h when all of it stands.
%include "start.inc"
IN_PLAIN           equ 0
IN_LEGACY          equ 1                   ; 32-bit tables, 4 KiB and 4 MiB pages
IN_PAE             equ 2
IN_LONG            equ 3
IN_LA57            equ 4
IN_HOSTILE         equ 5                   ; every entry of the root leads to the root
IN_MANY         equ 6                   ; long mode, and 71680 pages at 1 GiB, of which no two are neighbours
NEEDLES         equ 0x50000
TABLES          equ 0x60000
COUNTER         equ 0x51000
WATCHED         equ 0x51010
%ifndef MODE
%define MODE IN_PLAIN
%endif

main:   mov esi, needles
        mov edi, NEEDLES
        mov ecx, needles_size
        rep movsb
%if MODE == IN_LEGACY
        mov dword [TABLES], TABLES + 0x1000 + 7                 ; 0: user, writable
        mov dword [TABLES + 4 * 0x300], TABLES + 0x1000 + 3     ; C0000000h: the same pages, supervisor
        mov dword [TABLES + 4 * 0x301], 0x183                   ; C0400000h: 4 MiB at 0, global
        mov edi, TABLES + 0x1000
        mov eax, 7
.page:  stosd
        add eax, 0x1000
        cmp eax, 0x400000
        jb .page
        mov dword [TABLES + 0x1000 + 4 * 0x50], NEEDLES + 5     ; read-only
        mov eax, cr4
        or eax, 1 << 4
        mov cr4, eax
        mov eax, TABLES
%elif MODE == IN_PAE
        mov dword [TABLES], TABLES + 0x1000 + 1
        mov dword [TABLES + 8 * 3], TABLES + 0x1000 + 1         ; C0000000h
        mov edi, TABLES + 0x1000
        call large_pages
        mov eax, cr4
        or eax, 1 << 5
        mov cr4, eax
        mov eax, TABLES
%elif MODE >= IN_LONG
        mov dword [TABLES], TABLES + 0x1000 + 3
        mov dword [TABLES + 8 * 0x111], TABLES + 0x1000 + 3     ; FFFF888000000000h, or FF11000000000000h
        mov dword [TABLES + 0x1000], TABLES + 0x2000 + 3
%if MODE == IN_LA57
        mov dword [TABLES + 0x1000 + 8 * 0x111], TABLES + 0x2000 + 3
        mov dword [TABLES + 0x2000], TABLES + 0x3000 + 3
        mov edi, TABLES + 0x3000
%else
        mov edi, TABLES + 0x2000
%endif
        call large_pages
        mov dword [edi], TABLES + 0x8000 + 3                    ; 32 MiB: two pages that are no neighbours
        mov dword [TABLES + 0x8000], NEEDLES + 3
        mov dword [TABLES + 0x8008], NEEDLES + 0x2000 + 1
        mov dword [TABLES + 0x800c], 1 << 31                    ; no code there
%if MODE == IN_MANY
        mov dword [TABLES + 0x1008], TABLES + 0xb000 + 3
        mov edi, TABLES + 0xb000
        mov ecx, 140
.table: mov dword [edi], TABLES + 0xa000 + 3
        add edi, 8
        loop .table
        mov edi, TABLES + 0xa000
        xor ecx, ecx
.swap:  mov eax, ecx
        xor eax, 1
        shl eax, 12
        add eax, 0x1000003
        mov [edi + 8 * ecx], eax
        inc ecx
        cmp ecx, 512
        jb .swap
%endif
        mov eax, cr4
        or eax, 1 << 5
%if MODE == IN_LA57
        or eax, 1 << 12
%endif
        mov cr4, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 1 << 8 | 1 << 11
        wrmsr
        mov eax, TABLES
%endif
%if MODE != IN_PLAIN
        mov cr3, eax
        mov eax, cr0
        or eax, 1 << 31
        mov cr0, eax
%endif
%if MODE >= IN_LONG
        jmp CODE64:wide
        bits 64
wide:
%endif
%if MODE == IN_HOSTILE
        mov edi, TABLES + 0x9000        ; a second root, of which we make the first as soon as nothing is to be fetched
        mov ecx, 512
        mov rax, TABLES + 0x9000 + 7
        rep stosq
        mov qword [TABLES + 0x9000], TABLES + 0x1000 + 3
        mov rax, TABLES + 0x9000
        mov cr3, rax
%endif
        mov esi, ready
        mov ecx, 6
        mov dx, 0xe9
        rep outsb
again:  call target
        mov [abs WATCHED], eax
        jmp again

target: inc dword [abs COUNTER]
        mov eax, [abs COUNTER]
        mov ebx, eax
        and ebx, 0xff
        mov ecx, text
        ret

        bits 32
large_pages:                            ; 32 MiB from edi on, in pages of 2 MiB
        mov eax, 0x83
.next:  mov [edi], eax
        add edi, 8
        add eax, 0x200000
        cmp eax, 0x2000000
        jb .next
        ret

ready:  db "ready", 10
text:   db "a string", 0
needles:
        db "needle in a haystack", 0, 1, 2, 3
        dd 0xdeadbeef, 0x12345678
        dq 0x0123456789abcdef, 0x0123456789abcdef
        db "needle again", 0
needles_size    equ $ - needles

%include "end.inc"
