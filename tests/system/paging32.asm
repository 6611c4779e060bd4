; Paging without long mode: two levels with 4 MiB pages and PSE-36, then PAE with its page-directory
; pointers (SDM vol 3 §4.3, 4.4).
%include "start.inc"

PD      equ 0x50000
PT      equ 0x51000
PDPTE   equ 0x57020                     ; 32 bytes, 32-byte aligned
PD_PAE  equ 0x53000                     ; 0 to 1 GiB; the next page: 1 to 2 GiB
PT_PAE  equ 0x55000
T       equ 0x40000000
FRAME   equ 0x200000
%define page(n) (T + (n) * 0x1000)
%define frame(n) (FRAME + (n) * 0x1000)
P_      equ 1
W_      equ 2
U_      equ 4
RSVD    equ 8
I_      equ 16
PS      equ 0x80
GLOB    equ 0x100
ACCESS  equ 0x20
DIRTY   equ 0x40

        absolute user_vars
value:  resd 4

        section .text
        bits 32
%macro cr4_bits 2                       ; set, clear
        mov eax, cr4
        or eax, %1
        and eax, ~(%2)
        mov cr4, eax
%endmacro
%macro flush 0
        mov eax, cr3
        mov cr3, eax
%endmacro
%macro bits_of 2
        mov eax, [%1]
        and eax, ACCESS | DIRTY
        is eax, %2
%endmacro
%macro reads 3                          ; address, vector, error
        fault %2, %3, {mov al, [%1]}
%if %2 == PF
        is [exc_cr2], %1
%endif
%endmacro
%macro writes 3
        fault %2, %3, {mov byte [%1], 1}
%if %2 == PF
        is [exc_cr2], %1
%endif
%endmacro
OK      equ NO_EXC

main:
        mov ecx, 16
        mov edi, FRAME
.fill:  mov dword [edi], 0x90900000 | BACK << 8 | 0xcd
        add edi, 0x1000
        dec ecx
        jnz .fill

        topic "two levels"
        mov dword [PD], 0x87            ; 12 MiB at their own addresses
        mov dword [PD + 4], 0x400087
        mov dword [PD + 8], 0x800087
        mov dword [PD + 4 * 0x100], PT | 7
        cr4_bits 0x10, 0
        mov eax, PD
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov dword [PT], frame(0) | 7
        mov dword [PT + 4], frame(1) | 5
        mov dword [PT + 8], frame(2) | 3
        mov dword [PT + 12], 0
        reads page(0), OK, 0
        writes page(0) + 8, OK, 0
        reads page(3) + 8, PF, 0
        writes page(3) + 8, PF, W_
        writes page(1) + 8, OK, 0
        mov ebx, page(0) + 8
        user r3.write
        caught BACK, NO_ERROR, r3.end_write
        mov ebx, page(1) + 8
        user r3.write
        caught PF, P_ | W_ | U_, r3.write
        user r3.read
        caught BACK, NO_ERROR, r3.end_read
        mov ebx, page(2) + 8
        user r3.read
        caught PF, P_ | U_, r3.read
        mov ebx, page(3) + 8
        user r3.write
        caught PF, W_ | U_, r3.write
        mov ebx, page(2)
        user r3.fetch
        caught PF, P_ | U_, page(2)     ; no I bit here
        mov ebx, page(0)
        user r3.fetch
        caught BACK, NO_ERROR, page(0) + 2
        reads 0x80000000, PF, 0
        reads 0xfffffffc, PF, 0
        mov eax, cr0
        or eax, 0x10000
        mov cr0, eax
        writes page(1) + 8, PF, P_ | W_
        writes page(2) + 8, OK, 0
        and byte [PD + 0x400], ~2       ; a read-only directory entry
        flush
        writes page(0) + 8, PF, P_ | W_
        or byte [PD + 0x400], 2
        flush
        mov eax, cr0
        and eax, ~0x10000
        mov cr0, eax

        topic "accessed and dirty"
        mov dword [PT + 16], frame(4) | 7
        mov dword [PD + 0x400], PT | 7
        flush
        mov al, [page(4)]
        bits_of PT + 16, ACCESS
        bits_of PD + 0x400, ACCESS
        mov [page(4)], al
        bits_of PT + 16, ACCESS | DIRTY
        bits_of PD + 0x400, ACCESS

        topic "4 MiB pages"
        mov dword [PD + 0x404], 0x800087
        mov dword [0x912345], 0x600df00d
        mov eax, [T + 0x400000 + 0x112345]
        is eax, 0x600df00d
        bits_of PD + 0x404, ACCESS
        mov byte [T + 0x400000 + 0x112345], 0x0d
        bits_of PD + 0x404, ACCESS | DIRTY
        mov dword [PD + 0x404], 0x400087
        mov dword [0x512345], 0x12345678
        invlpg [T + 0x7ff000]
        mov eax, [T + 0x400000 + 0x112345]
        is eax, 0x12345678
        mov dword [PD + 0x404], 0x400085
        invlpg [T + 0x400000]
        mov ebx, T + 0x400000
        user r3.write
        caught PF, P_ | W_ | U_, r3.write
        mov dword [PD + 0x404], 0x400087 | 1 << 21      ; reserved
        invlpg [T + 0x400000]
        reads T + 0x400000, PF, P_ | RSVD
        mov dword [PD + 0x404], 0
        has 1, 0, edx, 17
        jz .no_pse36
        mov dword [PD + 0x404], 0x400087 | 1 << 13      ; PSE-36: above 4 GiB, where there is no memory
        invlpg [T + 0x400000]
        mov eax, [T + 0x512345]
        sub eax, 0x12345678
        setnz al
        movzx eax, al
        is eax, 1
.no_pse36:
        ; without CR4.PSE the bit is nothing: the entry leads to a table
        mov dword [PD + 0x404], PT | 0x87
        mov ecx, 0
.small: mov eax, ecx
        shl eax, 12
        or eax, 7
        mov [PT + 0x1000 + ecx * 4], eax
        inc ecx
        cmp ecx, 1024
        jb .small
        mov dword [PD], (PT + 0x1000) | 7       ; the program itself needs small pages then
        flush
        cr4_bits 0, 0x10
        mov eax, [T + 0x400000]         ; PT's first entry
        and eax, 0xffff
        is eax, BACK << 8 | 0xcd
        cr4_bits 0x10, 0
        mov dword [PD + 0x404], 0

        topic "global pages"
        cr4_bits 0x80, 0
        mov dword [frame(4)], 0x44
        mov dword [frame(5)], 0x55
        mov dword [PT + 16], frame(4) | 7 | GLOB
        invlpg [page(4)]
        mov eax, [page(4)]
        mov dword [PT + 16], frame(5) | 7 | GLOB
        cr4_bits 0, 0x80
        mov eax, [page(4)]
        is eax, 0x55
        cr4_bits 0x80, 0
        mov eax, [page(4)]
        mov dword [PT + 16], frame(4) | 7 | GLOB
        invlpg [page(4)]
        mov eax, [page(4)]
        is eax, 0x44
        cr4_bits 0, 0x80
        mov dword [PT + 16], frame(5) | 7
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax                    ; paging off and on again
        or eax, 0x80000000
        mov cr0, eax
        mov eax, [page(4)]
        is eax, 0x55
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax

        topic "PAE"
        mov dword [PDPTE], PD_PAE | 1
        mov dword [PDPTE + 8], (PD_PAE + 0x1000) | 1
        mov dword [PD_PAE], 0x87
        mov dword [PD_PAE + 8], 0x200087
        mov dword [PD_PAE + 16], 0x400087
        mov dword [PD_PAE + 24], 0x600087
        mov dword [PD_PAE + 0x1000], PT_PAE | 7
        mov dword [PT_PAE], frame(0) | 7
        mov dword [PT_PAE + 8], frame(1) | 5
        mov dword [PT_PAE + 16], frame(2) | 3
        mov dword [PT_PAE + 24], 0
        cr4_bits 0x20, 0
        mov eax, PDPTE
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        reads page(0), OK, 0
        reads page(3), PF, 0
        writes page(3), PF, W_
        reads 0x80000000, PF, 0         ; an absent pointer
        reads 0xc0000000, PF, 0
        mov ebx, page(1) + 8
        user r3.write
        caught PF, P_ | W_ | U_, r3.write
        mov ebx, page(2) + 8
        user r3.read
        caught PF, P_ | U_, r3.read
        mov ebx, page(0)
        user r3.fetch
        caught BACK, NO_ERROR, page(0) + 2
        bits_of PT_PAE, ACCESS
        mov eax, [PDPTE + 8]
        is eax, (PD_PAE + 0x1000) | 1   ; pointers have no accessed bit
        mov dword [PT_PAE + 28], 1 << 19        ; reserved: bit 51
        mov dword [PT_PAE + 24], frame(3) | 7
        mov eax, 0x80000000
        cpuid
        cmp eax, 0x80000008
        jb .width36
        mov eax, 0x80000008
        cpuid
        movzx eax, al
        cmp eax, 52
        jae .wide
.width36:
        reads page(3), PF, P_ | RSVD
        writes page(3), PF, P_ | W_ | RSVD
.wide:  mov dword [PT_PAE + 28], 1 << 20        ; bit 52: reserved in PAE
        invlpg [page(3)]
        reads page(3), PF, P_ | RSVD
        mov dword [PT_PAE + 28], 0
        invlpg [page(3)]
        mov dword [PD_PAE + 0x1008], 0x200087 | 1 << 13
        reads T + 0x200000, PF, P_ | RSVD
        mov dword [PD_PAE + 0x1008], 0x200087
        invlpg [T + 0x200000]
        reads T + 0x200000, OK, 0
        bits_of PD_PAE + 0x1008, ACCESS
        writes T + 0x200008, OK, 0
        bits_of PD_PAE + 0x1008, ACCESS | DIRTY

        topic "PAE: the pointers are registers"
        mov dword [PDPTE + 16], (PD_PAE + 0x1000) | 1
        reads 0x80000000, PF, 0         ; nobody has read it yet
        flush
        reads 0x80000000, OK, 0
        mov dword [PDPTE + 16], 0
        invlpg [0x80000000]
        reads 0x80000000, OK, 0
        flush
        reads 0x80000000, PF, 0
        mov dword [PDPTE + 16], (PD_PAE + 0x1000) | 3   ; reserved
        mov ebx, cr3
        fault GP, 0, {mov cr3, ebx}
        reads 0x80000000, PF, 0         ; and the old ones stay
        reads page(0), OK, 0
        mov dword [PDPTE + 16], 0
        flush

        topic "PAE: NX"
        has 0x80000001, 0, edx, 20
        jz .no_nx
        mov dword [PT_PAE + 4], 1 << 31
        invlpg [page(0)]
        reads page(0), PF, P_ | RSVD
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x800
        wrmsr
        invlpg [page(0)]
        reads page(0), OK, 0
        mov ebx, page(0)
        user r3.fetch
        caught PF, P_ | U_ | I_, page(0)
        mov dword [PT_PAE + 24], 0
        invlpg [page(3)]
        mov ebx, page(3)
        user r3.fetch
        caught PF, U_ | I_, page(3)
        mov ecx, 0xc0000080
        rdmsr
        and eax, ~0x800
        wrmsr
        jmp .nx_done
.no_nx: left_out "NX"
.nx_done:
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        cr4_bits 0, 0x30
        finish

r3:
.read:  mov al, [ebx]
        int BACK
.end_read:
.write: mov byte [ebx], 1
        int BACK
.end_write:
.fetch: jmp ebx
%include "end.inc"
