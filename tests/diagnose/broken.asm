; Guests that are broken on purpose, each in one way, for the black box to say in which.
;
; Each "case" is a program, made by -DNAME.  "says" are regular expressions that the report must have, in this order; "kvm" the
; same where a KVM tells of the end only.  "one line": the report has no more than that.
%define LONG
%include "start.inc"
        section .text
        bits 32
main:
        topic "broken"

; case: EMPTY_GATE                      ; a table with nothing in it, and a real fault
; says: 1\. #UD by the instruction .*: it is there to raise #UD
; says: 2\. delivering #UD raised #GP, error code 0x33 \(IDT entry 6 #UD, .*: IDT gate 6 at 0x60030: type 0x0 is no gate .*it is empty
; says: 3\. delivering #GP raised #GP, error code 0x6b .* both together are #DF: IDT gate 13 at 0x60068: type 0x0 is no gate
; says: 4\. delivering #DF raised #GP, error code 0x43 .*: IDT gate 8 at 0x60040: type 0x0 is no gate
; says: > 0x[0-9a-f]+: +0f 0b +ud2
; kvm: #DF could not be delivered \(#GP\): IDT gate 8 at 0x60040: type 0x0 is no gate
%ifdef EMPTY_GATE
        mov word [table_pointer], 0x7ff
        mov dword [table_pointer + 2], 0x60000
        lidt [table_pointer]
        ud2

; case: GATE_TYPE                       ; descriptors that are no gates, and one that is not present
; says: 1\. #DE by the instruction .*: the divisor is 0
; says: delivering #DE raised #NP, error code 0x3 .*: IDT gate 0 at 0x21000 is not present \(value 0x00000e0000081[0-9a-f]+\)
; says: delivering #DF raised #GP, error code 0x43 .*: IDT gate 8 at 0x21040: type 0xc is no gate \(value
; kvm: #DF could not be delivered \(#GP\): IDT gate 8 at 0x21040: type 0xc is no gate
%elifdef GATE_TYPE
        and byte [IDT32 + 0 * 8 + 5], 0x7f
        mov byte [IDT32 + 8 * 8 + 5], 0x8c
        xor ecx, ecx
        div ecx

; case: LIMIT_ZERO                      ; an empty IDT, but the fault is none that a system would reboot by
; says: triple fault at
; says: 1\. #GP, error code 0x0 by the instruction .*: it goes through FS, which is null
; says: IDT gate 13 at 0x21068 lies beyond the IDT limit 0x0
; says: IDT gate 8 at 0x21040 lies beyond the IDT limit 0x0
; kvm: #GP could not be delivered .* lies beyond the IDT limit 0x0
%elifdef LIMIT_ZERO
        mov word [table_pointer], 0
        mov dword [table_pointer + 2], IDT32
        lidt [table_pointer]
        xor eax, eax
        mov fs, eax
        mov eax, [fs:0x1234]

; case: REBOOT                          ; how kernels reset a PC: not a fault of anything
; says: ^CPU 0: reset by a deliberate triple fault at 0008:[0-9a-f]+ \(protected mode, CPL 0\): an interrupt instruction
; one line
%elifdef REBOOT
        mov word [table_pointer], 0
        mov dword [table_pointer + 2], 0
        lidt [table_pointer]
        int3

; case: GATE_SELECTOR                   ; a gate to a selector that the GDT does not have
; says: 1\. #UD by the instruction
; says: delivering #UD raised #GP, error code 0x1239 \(selector 0x1238, GDT entry 583, .*: IDT gate 6 at 0x21030: selector 0x1238 lies beyond the GDT limit 0xfff
; says: delivering #GP raised #GP, error code 0x11 .*: IDT gate 13 at 0x21068: selector 0x10 \(GDT entry 2 at 0x20010\) is no code segment: 0x00cf93000000ffff is writable data
; says: delivering #DF raised #GP, error code 0x1 .*: IDT gate 8 at 0x21040: selector 0x0 is null
; kvm: #DF could not be delivered \(#GP\): .* selector 0x0 is null
%elifdef GATE_SELECTOR
        mov word [IDT32 + 6 * 8 + 2], 0x1238
        mov word [IDT32 + 13 * 8 + 2], DATA
        mov word [IDT32 + 8 * 8 + 2], 0
        ud2

; case: GDT_LIMIT                       ; a GDT that ends too early
; says: delivering #UD raised #GP, error code 0x9 .*: IDT gate 6 .*: selector 0x8 lies beyond the GDT limit 0x7 \(GDT at 0x20000, entry 1\)
; says: delivering #DF raised #GP, .*: selector 0x8 lies beyond the GDT limit 0x7
; kvm: #DF could not be delivered \(#GP\): .* lies beyond the GDT limit 0x7
%elifdef GDT_LIMIT
        mov word [table_pointer], 7
        mov dword [table_pointer + 2], GDT
        lgdt [table_pointer]
        ud2

; case: STACK_UNMAPPED                  ; a stack where there is no page, with 32-bit paging
; says: 1\. #PF at 0x00000000007ffffc \(write, supervisor, page not present; error code 0x2\) by the instruction .*: PDE at 0x50004 \(index 1\) is not present \(value 0x0\)
; says: delivering #PF raised #PF at 0x00000000007ffffc .* both together are #DF: pushing to SS:ESP 0x7ffffc failed: PDE at 0x50004
; says: delivering #DF raised #PF at .*: pushing to SS:ESP 0x7ffffc failed
; says: > 0x[0-9a-f]+: +50 +push %eax
; says: Stack at 0x800000: cannot be read
; kvm: CR2, the address of the last #PF, is 0x7ffffc: PDE at 0x50004 \(index 1\) is not present
%elifdef STACK_UNMAPPED
        mov dword [0x50000], 0x87       ; the first 4 MiB only
        mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov eax, 0x50000
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov esp, 0x800000
        push eax

; case: INNER_STACK                     ; a TSS whose SS0 nobody has set
; says: 1\. #GP, error code 0x0 by the instruction .*: the instruction is privileged, and CPL is 3
; says: delivering #GP raised #TS, error code 0x1 .*: IDT gate 13 .*: SS0 in the TSS is null
; says: delivering #DF raised #TS, .*: IDT gate 8 .*: SS0 in the TSS is null
; kvm: #DF could not be delivered \(#TS\): .* SS0 in the TSS is null
%elifdef INNER_STACK
        mov dword [TSS32 + 8], 0
        user .out
.out:   hlt

; case: PDPTE_PAE                       ; PAE with W and U in a root entry, as long mode has it
; says: 1\. #GP, error code 0x0 by the instruction .*: PDPTE at 0x50018 \(index 3\) has reserved bits set: 0x6 of its value 0x51007
; says: > 0x[0-9a-f]+: +0f 22 c0 +mov %eax, %cr0
; kvm: the instruction may have raised #GP or #SS: PDPTE at 0x50018 \(index 3\) has reserved bits set
%elifdef PDPTE_PAE
        mov dword [0x50018], 0x51007
        mov word [table_pointer], 0x10
        mov dword [table_pointer + 2], IDT32
        lidt [table_pointer]
        mov eax, cr4
        or eax, 0x20
        mov cr4, eax
        mov eax, 0x50000
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax

; case: WRMSR_UNKNOWN                   ; a register that no CPU here has
; says: 1\. #GP, error code 0x0 by the instruction .*: MSR 0xdeadbeef does not exist here \(value 0x500000001\)
; kvm: the instruction may have raised #GP or #SS: MSR 0xdeadbeef does not exist here
%elifdef WRMSR_UNKNOWN
        mov word [table_pointer], 0x10
        mov dword [table_pointer + 2], IDT32
        lidt [table_pointer]
        mov ecx, 0xdeadbeef
        mov eax, 1
        mov edx, 5
        wrmsr
%else
        call enter_long
        bits 64

; case: IST_NOT_PRESENT                 ; long mode: an interrupt stack in a page that is not there
; says: 1\. #UD by the instruction
; says: delivering #UD raised #PF at 0x0000000040000ff8 \(write, supervisor, page not present; error code 0x2\): pushing to IST1, 0x0000000040000ff8 failed: PDE at 0x33000 \(index 0\) is not present \(value 0x40000086\)
; says: delivering #PF raised #PF at 0x0000000040001ff8 .*pushing to IST2, 0x0000000040001ff8 failed
; says: delivering #DF raised #PF at 0x0000000040000ff8 .*pushing to IST1, 0x0000000040000ff8 failed
; says: Page walk of 0x40000ff8:
; says: PDE at 0x33000 \(index 0\) = 0x0000000040000086: not present
; kvm: #DF could not be delivered \(#PF\): pushing to IST1, 0x0000000040000ff8 failed
%ifdef IST_NOT_PRESENT
        and byte [PDS + 0x1000], ~1     ; 1 GiB to 1 GiB + 2 MiB
        mov rax, cr3
        mov cr3, rax
        mov dword [TSS64 + 0x24], 0x40001000
        mov dword [TSS64 + 0x2c], 0x40002000
        mov byte [IDT64 + 6 * 16 + 4], 1
        mov byte [IDT64 + 8 * 16 + 4], 1
        mov byte [IDT64 + 14 * 16 + 4], 2
        ud2

; case: IST_BAD                         ; a stack pointer that is no address, and a TSS that ends before it
; says: delivering #UD raised #SS, error code 0x1 .*: IDT gate 6 .*: IST3 in the TSS is not canonical: 0x0000900000000000
; says: delivering #SS raised #TS, error code 0x69 .*: TSS limit 0x3b is too small for IST4 \(at offset 0x3c; TR 0x68, base 0x26000\)
; kvm: #DF could not be delivered \(#TS\): .* TSS limit 0x3b is too small for IST4
%elifdef IST_BAD
        mov dword [TSS64 + 0x24 + 16], 0
        mov dword [TSS64 + 0x28 + 16], 0x9000
        mov byte [IDT64 + 6 * 16 + 4], 3
        mov byte [IDT64 + 12 * 16 + 4], 4
        mov byte [IDT64 + 8 * 16 + 4], 4
        and byte [GDT + SEL_TSS64 + 5], 0xfd
        mov word [GDT + SEL_TSS64], 0x3b ; IST3 is within, IST4 is not
        mov eax, SEL_TSS64
        ltr ax
        ud2

; case: PDPTE_NOT_PRESENT               ; long mode: a hole of 1 GiB
; says: 1\. #PF at 0x00000000c0001234 \(write, supervisor, page not present; error code 0x2\) by the instruction .*: PDPTE at 0x31018 \(index 3\) is not present \(value 0x35006\)
; says: delivering #PF raised #GP, .* lies beyond the IDT limit 0x3f
; kvm: CR2, the address of the last #PF, is 0xc0001234: PDPTE at 0x31018 \(index 3\) is not present
%elifdef PDPTE_NOT_PRESENT
        and byte [PDPT + 3 * 8], ~1
        mov rax, cr3
        mov cr3, rax
        mov word [table_pointer], 0x3f
        mov qword [table_pointer + 2], IDT64
        lidt [table_pointer]
        mov eax, 0xc0001234
        mov [rax], eax

; case: PAGE_RESERVED                   ; long mode: a bit of an entry that must be 0
; says: 1\. #PF at 0x0000000040000000 \(read, supervisor, reserved bits; error code 0x9\) .*: PDE at 0x33000 \(index 0\) has reserved bits set: 0x2000 of its value 0x400020[0-9a-f]+ \(the address of a large page is not aligned to its size\)
; kvm: CR2, the address of the last #PF, is 0x40000000: PDE at 0x33000 \(index 0\) has reserved bits set
%elifdef PAGE_RESERVED
        or dword [PDS + 0x1000], 0x2000
        mov rax, cr3
        mov cr3, rax
        mov word [table_pointer], 0x3f
        mov qword [table_pointer + 2], IDT64
        lidt [table_pointer]
        mov eax, 0x40000000
        mov eax, [rax]

; case: READ_ONLY                       ; a write to a page without W
; says: 1\. #PF at 0x0000000040000000 \(write, supervisor, page protection; error code 0x3\) .*: PDE at 0x33000 \(index 0\) is read-only \(R/W clear\), which CR0.WP makes count for the supervisor too
; kvm: CR2, the address of the last #PF, is 0x40000000
%elifdef READ_ONLY
        and byte [PDS + 0x1000], ~2
        mov rax, cr0
        bts rax, 16
        mov cr0, rax
        mov rax, cr3
        mov cr3, rax
        mov word [table_pointer], 0x3f
        mov qword [table_pointer + 2], IDT64
        lidt [table_pointer]
        mov eax, 0x40000000
        mov [rax], eax

; case: RIP_NON_CANONICAL               ; a jump to what is no address
; says: 1\. #GP, error code 0x0 by the instruction .*: it leads to 0x8000000000001000, which is not canonical
; says: > 0x[0-9a-f]+: +ff e0 +jmp \*?%rax
; kvm: the instruction may have raised #GP or #SS: it leads to 0x8000000000001000, which is not canonical
%elifdef RIP_NON_CANONICAL
        mov word [table_pointer], 0x3f
        mov qword [table_pointer + 2], IDT64
        lidt [table_pointer]
        mov rax, 0x8000000000001000
        jmp rax

; case: HANDLER_NON_CANONICAL           ; gates with rubbish in their upper half
; says: delivering #UD raised #GP, error code 0x1 .*: IDT gate 6 .*: the handler's address 0x12345678[0-9a-f]{8} is not canonical
; kvm: #DF could not be delivered \(#GP\): IDT gate 8 .*: the handler's address 0x12345678[0-9a-f]{8} is not canonical
%elifdef HANDLER_NON_CANONICAL
        mov dword [IDT64 + 6 * 16 + 8], 0x12345678
        mov dword [IDT64 + 8 * 16 + 8], 0x12345678
        mov dword [IDT64 + 13 * 16 + 8], 0x12345678
        ud2

; case: DATA_NON_CANONICAL              ; a pointer that is no address
; says: 1\. #GP, error code 0x0 by the instruction .*: it accesses 0x1234567812345678, which is not canonical
; kvm: the instruction may have raised #GP or #SS: it accesses 0x1234567812345678, which is not canonical
%elifdef DATA_NON_CANONICAL
        mov word [table_pointer], 0x3f
        mov qword [table_pointer + 2], IDT64
        lidt [table_pointer]
        mov rbx, 0x1234567812345000
        mov eax, [rbx + 0x678]

; case: HANDLED                         ; nothing is broken: exceptions that their handlers take, then the machine stands still
%elifdef HANDLED
        fault GP, 0x78, {mov ds, word [rel .selector]}
        fault PF, 0, {mov eax, [qword 0x123456789000]}
.stop:  hlt
        jmp .stop
.selector: dw 0x78

; case: NO_L                            ; handlers in a code segment of 32 bits
; says: delivering #UD raised #GP, error code 0x9 .*: IDT gate 6 .*: selector 0x8 \(GDT entry 1 at 0x20008\) is no 64-bit code segment \(L clear\), .*32-bit code
; says: delivering #GP raised #GP, error code 0x79 .*: selector 0x78 .* has L and D both set, which is reserved
; kvm: #DF could not be delivered \(#GP\): .* selector 0x8 .* is no 64-bit code segment
%elifdef NO_L
        descriptor SEL_FREE, 0, 0xfffff, 0x9b, 0xe
        mov word [IDT64 + 6 * 16 + 2], CODE32
        mov word [IDT64 + 13 * 16 + 2], SEL_FREE
        mov word [IDT64 + 8 * 16 + 2], CODE32
        ud2
%endif
%endif
        bits 32
        topic "still alive"
        finish
%include "end.inc"
