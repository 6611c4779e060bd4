; Paging in long mode: every bit of #PF's error code, accessed and dirty bits, WP, NX, SMEP, SMAP,
; protection keys, large and global pages, invalidation, accesses across a page boundary, PCIDs,
; five levels (SDM vol 3 ch. 4).
%define LONG
%include "start.inc"

TEST_PT equ 0x50000                     ; of 40000000h, 2 MiB
TEST_PD equ PDS + 0x1000
T       equ 0x40000000
FRAME   equ 0x200000                    ; frames of their own for test pages
PML5    equ 0x51000
SPARE   equ 0x52000
%define page(n) (T + (n) * 0x1000)
%define frame(n) (FRAME + (n) * 0x1000)
; error code
P_      equ 1
W_      equ 2
U_      equ 4
RSVD    equ 8
I_      equ 16
PK      equ 32
; PTE
PRESENT equ 1
WRITE   equ 2
USER    equ 4
ACCESS  equ 0x20
DIRTY   equ 0x40
PS      equ 0x80
GLOB    equ 0x100

        absolute user_vars
value:  resq 2
fetch_bit: resq 1
descriptor_: resq 2

        section .text
        bits 64
; map PAGE, ENTRY[, UPPER HALF]
%macro map 2-3 0
        mov dword [TEST_PT + 8 * (%1)], %2
        mov dword [TEST_PT + 8 * (%1) + 4], %3
        invlpg [page(%1)]
%endmacro
; supervisor reads, writes, fetches: PAGE, VECTOR, ERROR.  A fetch that succeeds comes back by INT 30h.
%macro s_read 3
        fault %2, %3, {mov al, [page(%1) + 8]}
        cr2_is %2, page(%1) + 8
%endmacro
%macro s_write 3
        fault %2, %3, {mov byte [page(%1) + 8], 1}
        cr2_is %2, page(%1) + 8
%endmacro
%macro cr2_is 2
%if %1 == PF
        is [exc_cr2], %2
%endif
%endmacro
%macro s_fetch 3
        mov ebx, page(%1)
        expect %%after
        jmp rbx
%%after:
%if %2 == PF
        caught PF, %3, page(%1)
%else
        caught BACK, NO_ERROR, page(%1) + 2
%endif
%endmacro
; the same at CPL 3
%macro u_read 3
        mov ebx, page(%1) + 8
        user r3.read
        caught_user %2, %3, r3.read, page(%1) + 8
%endmacro
%macro u_write 3
        mov ebx, page(%1) + 8
        user r3.write
        caught_user %2, %3, r3.write, page(%1) + 8
%endmacro
%macro u_fetch 3
        mov ebx, page(%1)
        user r3.fetch
        caught_user %2, %3, page(%1), page(%1)
%endmacro
%macro caught_user 4
%if %1 == PF
        caught PF, %2, %3
        is [exc_cr2], %4
%else
        caught BACK, NO_ERROR, -1
%endif
%endmacro
OK      equ NO_EXC

main:
        bits 32
        need 0x80000001, 0, edx, 29, "long mode"
        call enter_long
        bits 64
        mov qword [TEST_PD], TEST_PT | 7
        mov ecx, 64                     ; INT 30h at the start of each frame
        mov edi, FRAME
.fill:  mov dword [rdi], 0x9090 << 16 | BACK << 8 | 0xcd
        add edi, 0x1000
        dec ecx
        jnz .fill

        topic "not present"
        map 0, 0
        s_read 0, PF, 0
        s_write 0, PF, W_
        s_fetch 0, PF, 0                ; neither NXE nor SMEP
        u_read 0, PF, U_
        u_write 0, PF, U_ | W_
        u_fetch 0, PF, U_
        map 0, 0xfffffffe, 0x7fffffff   ; nothing else counts then, reserved bits neither
        s_read 0, PF, 0
        mov qword [TEST_PD + 8], 0
        fault PF, 0, {mov al, [T + 0x200000]}
        mov rbx, 0x8000000000
        fault PF, 0, {mov al, [rbx]}
        is [exc_cr2], rbx

        topic "rights of a page"
        map 1, frame(1) | PRESENT | WRITE | USER
        s_read 1, OK, 0
        s_write 1, OK, 0
        s_fetch 1, OK, 0
        u_read 1, OK, 0
        u_write 1, OK, 0
        u_fetch 1, OK, 0
        map 1, frame(1) | PRESENT | USER
        s_read 1, OK, 0
        s_write 1, OK, 0                ; WP is clear
        u_read 1, OK, 0
        u_write 1, PF, P_ | W_ | U_
        u_fetch 1, OK, 0
        map 1, frame(1) | PRESENT | WRITE
        s_read 1, OK, 0
        s_write 1, OK, 0
        s_fetch 1, OK, 0
        u_read 1, PF, P_ | U_
        u_write 1, PF, P_ | W_ | U_
        u_fetch 1, PF, P_ | U_
        map 1, frame(1) | PRESENT
        s_write 1, OK, 0
        u_write 1, PF, P_ | W_ | U_

        topic "WP"
        mov rax, cr0
        bts eax, 16
        mov cr0, rax
        s_write 1, PF, P_ | W_
        s_read 1, OK, 0
        fault PF, P_ | W_, {lock xadd [page(1)], eax}
        map 1, frame(1) | PRESENT | USER
        s_write 1, PF, P_ | W_
        mov rax, cr0
        btr eax, 16
        mov cr0, rax                    ; no invalidation is needed
        s_write 1, OK, 0
        bts eax, 16
        mov cr0, rax
        s_write 1, PF, P_ | W_
        btr eax, 16
        mov cr0, rax

        topic "rights of the upper levels"
%macro upper 2                          ; entry, bits to clear: then a user write, and back
        and dword [%1], ~(%2)
        mov rax, cr3
        mov cr3, rax
%endmacro
        map 1, frame(1) | PRESENT | WRITE | USER
        upper TEST_PD, WRITE
        u_write 1, PF, P_ | W_ | U_
        u_read 1, OK, 0
        mov qword [TEST_PD], TEST_PT | 7
        upper TEST_PD, USER
        u_read 1, PF, P_ | U_
        s_read 1, OK, 0
        mov qword [TEST_PD], TEST_PT | 7
        upper PDPT + 8, WRITE
        u_write 1, PF, P_ | W_ | U_
        or dword [PDPT + 8], WRITE
        upper PDPT + 8, USER
        u_read 1, PF, P_ | U_
        or dword [PDPT + 8], USER
        mov rax, cr3
        mov cr3, rax
        u_write 1, OK, 0

        topic "reserved bits"
        has 0x80000008, 0, eax, 0
        mov eax, 0x80000008
        cpuid
        movzx ecx, al                   ; MAXPHYADDR
        cmp ecx, 52
        jae .all_bits
        sub ecx, 32
        mov edx, 1
        shl edx, cl
        mov dword [TEST_PT + 8], frame(1) | 7
        mov [TEST_PT + 8 + 4], edx
        invlpg [page(1)]
        s_read 1, PF, P_ | RSVD
        s_write 1, PF, P_ | RSVD | W_
        u_read 1, PF, P_ | RSVD | U_
        u_write 1, PF, P_ | RSVD | W_ | U_
        u_fetch 1, PF, P_ | RSVD | U_
        mov [TEST_PD + 4], edx
        map 1, frame(1) | 7
        s_read 1, PF, P_ | RSVD
        mov dword [TEST_PD + 4], 0
        invlpg [page(1)]
.all_bits:
        map 1, frame(1) | 7, 1 << 31    ; XD without EFER.NXE
        s_read 1, PF, P_ | RSVD
        map 1, frame(1) | 7, 1 << 20    ; bits 62:52 are free
        s_read 1, OK, 0
        mov qword [TEST_PD], 0x600000 | PS | 7 | 1 << 13
        invlpg [page(1)]
        s_read 1, PF, P_ | RSVD         ; bits 20:13 of a large page
        mov qword [TEST_PD], TEST_PT | 7
        invlpg [page(1)]
        mov qword [PML4 + 8], PDPT | PS | 7
        mov rbx, 0x8000000000
        fault PF, P_ | RSVD, {mov al, [rbx]}
        mov qword [PML4 + 8], 0
        invlpg [rbx]

        topic "NX"
        has 0x80000001, 0, edx, 20
        jnz .nx
        left_out "NX"
        jmp .no_nx
.nx:    mov ecx, 0xc0000080
        rdmsr
        or eax, 0x800
        wrmsr
        map 0, 0
        s_fetch 0, PF, I_
        u_fetch 0, PF, U_ | I_
        map 1, frame(1) | PRESENT | WRITE | USER, 1 << 31
        s_read 1, OK, 0
        s_write 1, OK, 0
        u_write 1, OK, 0
        s_fetch 1, PF, P_ | I_
        u_fetch 1, PF, P_ | U_ | I_
        map 1, frame(1) | PRESENT | WRITE
        u_fetch 1, PF, P_ | U_ | I_
        map 1, frame(1) | PRESENT | WRITE | USER
        u_fetch 1, OK, 0
        or byte [TEST_PD + 7], 0x80
        mov rax, cr3
        mov cr3, rax
        s_fetch 1, PF, P_ | I_
        s_read 1, OK, 0
        and byte [TEST_PD + 7], 0x7f
        mov rax, cr3
        mov cr3, rax
        s_fetch 1, OK, 0
        mov ecx, 0xc0000080
        rdmsr
        and eax, ~0x800
        wrmsr
.no_nx:

        topic "accessed and dirty bits"
%macro bits_of 2                        ; address of an entry, the expected A and D
        mov rax, [%1]
        and eax, ACCESS | DIRTY
        is rax, %2
%endmacro
        map 2, frame(2) | 7
        mov qword [TEST_PD], TEST_PT | 7
        and qword [PDPT + 8], ~ACCESS
        and qword [PML4], ~ACCESS
        mov rax, cr3
        mov cr3, rax
        bits_of TEST_PT + 16, 0
        mov al, [page(2)]
        bits_of TEST_PT + 16, ACCESS
        bits_of TEST_PD, ACCESS
        bits_of PDPT + 8, ACCESS
        bits_of PML4, ACCESS
        mov [page(2) + 8], al           ; the translation is known, its dirty bit is not
        bits_of TEST_PT + 16, ACCESS | DIRTY
        bits_of TEST_PD, ACCESS
        and byte [TEST_PT + 16], ~DIRTY
        invlpg [page(2)]
        mov [page(2) + 8], al
        bits_of TEST_PT + 16, ACCESS | DIRTY
        map 2, frame(2) | 7
        mov ebx, page(2)
        expect .fetched
        jmp rbx
.fetched: bits_of TEST_PT + 16, ACCESS
        map 2, frame(2) | 7
        cmp byte [page(2)], 0
        bits_of TEST_PT + 16, ACCESS
        add byte [page(2) + 9], 0
        bits_of TEST_PT + 16, ACCESS | DIRTY
        map 2, frame(2) | 7
        mov eax, 5
        mov dword [page(2) + 8], 6
        map 2, frame(2) | 7
        cmpxchg [page(2) + 8], ecx      ; unequal, and a write all the same
        bits_of TEST_PT + 16, ACCESS | DIRTY
        map 2, frame(2) | PRESENT | USER
        u_write 2, PF, P_ | W_ | U_
        mov rax, [TEST_PT + 16]
        and eax, DIRTY
        is rax, 0
        map 2, frame(2) | 7
        map 3, frame(3) | 7
        mov eax, [page(3) - 2]
        bits_of TEST_PT + 16, ACCESS
        bits_of TEST_PT + 24, ACCESS
        mov [page(3) - 2], eax
        bits_of TEST_PT + 16, ACCESS | DIRTY
        bits_of TEST_PT + 24, ACCESS | DIRTY
        map 2, frame(2) | 7
        mov ecx, 0
        mov edi, page(2)
        rep stosb                       ; no iteration, no access
        bits_of TEST_PT + 16, 0
        map 2, frame(2) | 7
        user r3.nothing                 ; the stack there stays untouched as well
        bits_of TEST_PT + 16, 0

        topic "large pages"
        mov qword [TEST_PD + 8], 0x600000 | PS | 7
        mov rax, cr3
        mov cr3, rax
        mov dword [0x612345], 0x600df00d
        mov eax, [T + 0x200000 + 0x12345]
        is rax, 0x600df00d
        bits_of TEST_PD + 8, ACCESS
        mov byte [T + 0x200000 + 0x12345], 0x0d
        bits_of TEST_PD + 8, ACCESS | DIRTY
        mov qword [TEST_PD + 8], 0x800000 | PS | 7
        mov dword [0x812345], 0x800800
        invlpg [T + 0x3ff000]           ; any address of the large page
        mov eax, [T + 0x200000 + 0x12345]
        is rax, 0x800800
        mov qword [TEST_PD + 8], 0x800000 | PS | PRESENT | USER
        invlpg [T + 0x200000]
        mov ebx, T + 0x200000
        user r3.write
        caught PF, P_ | W_ | U_, r3.write
        mov dword [0x9ffffe], 0x11223344        ; across two large pages that are far apart
        mov qword [TEST_PD + 8], 0x800000 | PS | 7
        mov qword [TEST_PD + 16], 0x400000 | PS | 7
        invlpg [T + 0x200000]
        mov word [0x400000], 0x5566
        mov eax, [T + 0x3ffffe]
        is rax, 0x55663344
        has 0x80000001, 0, edx, 26
        jnz .giant
        left_out "1 GiB pages"
        mov qword [PDPT + 16], PDS | PS | 7
        mov rax, cr3
        mov cr3, rax
        mov ebx, 0x80000000
        fault PF, P_ | RSVD, {mov al, [rbx]}
        jmp .giant_done
.giant: mov qword [PDPT + 16], PS | 7   ; 80000000h is 0
        mov rax, cr3
        mov cr3, rax
        mov ebx, 0x80000000
        mov eax, [rbx + 0x612345]
        is rax, 0x600df00d
        bits_of PDPT + 16, ACCESS
        mov byte [rbx + 0x612345], 0x0d
        bits_of PDPT + 16, ACCESS | DIRTY
        mov qword [PDPT + 16], PS | 7 | 1 << 13
        mov rax, cr3
        mov cr3, rax
        fault PF, P_ | RSVD, {mov al, [rbx]}
.giant_done:
        mov qword [PDPT + 16], (PDS + 0x2000) | 7
        mov rax, cr3
        mov cr3, rax

%include "paging-flush.inc"
%include "paging-guard.inc"

        call leave_long
        bits 32
        finish

        bits 64
r3:
.nothing: int BACK
.read:  mov al, [rbx]
        int BACK
.write: mov byte [rbx], 1
        int BACK
.fetch: jmp rbx
%include "end.inc"
