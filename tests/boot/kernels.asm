; Three tiny kernels for -kernel, which tell on the serial port what they were given: nasm -f bin -DLINUX, -DPVH or
; -DMULTIBOOT.  Their exit goes through isa-debug-exit at port 501h.
SERIAL          equ 0x3f8
EXIT            equ 0x501
LOAD            equ 0x100000

%ifdef LINUX
; ---- Documentation/x86/boot.rst: boot sector, setup with its header, then the 32-bit part ----
        bits 16
        org 0
        times 0x1f1 - ($ - $$) db 0
        db 1                            ; setup_sects
        dw 0
        dd (end - body) / 16            ; syssize
        dw 0, 0xffff, 0
        dw 0xaa55
        jmp short setup                 ; 200h: entered at CS = setup segment + 20h
        db "HdrS"
        dw 0x20c
        dd 0
        dw 0, 0
        db 0                            ; type_of_loader
        db 1                            ; loaded high
        dw 0
        dd LOAD                         ; code32_start
ramdisk: dd 0
ramdisk_size: dd 0
        dd 0
        dw 0, 0
cmd_line_ptr: dd 0
        dd 0x37ffffff                   ; initrd_addr_max
        dd 0x1000
        db 0, 0
        dw 0
        dd 255                          ; cmdline_size
        times 0x268 - ($ - $$) db 0

setup:  cli
        mov ax, ds                      ; the setup segment, as is SS
        movzx eax, ax
        shl eax, 4
        add eax, gdt
        mov [gdt_pointer + 2], eax
        mov esi, [cmd_line_ptr]
        mov edi, [ramdisk]
        mov ebp, [ramdisk_size]
        lgdt [gdt_pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword 8:LOAD
        align 8
gdt:    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer: dw 23
        dd 0
        times 1024 - ($ - $$) db 0
body:
        bits 32
        mov eax, 16
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, 0x90000
        push edi
        call print
        call space
        pop esi
        mov ecx, ebp
        call print_n
        jmp done

%elifdef PVH
; ---- An ELF file with one segment and a note (Xen's public/elfnote.h) ----
        bits 32
        org LOAD
file:   db 0x7f, "ELF", 1, 1, 1, 0
        times 8 db 0
        dw 2, 3
        dd 1, 0, program - file, 0, 0
        dw 52, 32, 2, 0, 0, 0
program: dd 1, 0, LOAD, LOAD, end - file, end - file + 0x4000, 7, 4
        dd 4, note - file, note, note, note_end - note, note_end - note, 4, 4
note:   dd 4, 4, 18
        db "Xen", 0
        dd start
note_end:
start:  mov esp, end + 0x4000
        cmp dword [ebx], 0x336ec578
        jne failed
        mov esi, [ebx + 24]             ; command line
        call print
        call space
        cmp dword [ebx + 12], 1         ; modules
        jne failed
        mov eax, [ebx + 16]
        mov esi, [eax]
        mov ecx, [eax + 8]
        call print_n
        mov eax, [ebx + 32]             ; ACPI's root pointer
        cmp dword [eax], "RSD "
        jne failed
        cmp dword [ebx + 48], 3         ; memory map
        jb failed
        mov eax, [ebx + 40]
        cmp dword [eax + 16], 1
        jne failed
        jmp done

%else
; ---- Multiboot 0.6.96 §3: a flat file with addresses in its header ----
FLAGS   equ 0x10003
        bits 32
        org LOAD
file:   dd 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
        dd file, LOAD, end, end + 0x4000, start
start:  mov esp, end + 0x4000
        cmp eax, 0x2badb002
        jne failed
        mov eax, [ebx]
        not eax
        test eax, 0x24d                 ; memory, command line, modules, map, loader's name
        jnz failed
        cmp dword [ebx + 4], 600        ; KiB below 640
        jb failed
        cmp dword [ebx + 8], 8192       ; KiB above 1 MiB
        jb failed
        mov esi, [ebx + 16]
        call print
        call space
        mov edx, [ebx + 20]
        mov edi, [ebx + 24]
.module: mov esi, [edi]
        mov ecx, [edi + 4]
        sub ecx, esi
        push edx
        call print_n
        call space
        mov esi, [edi + 8]
        call print
        call space
        pop edx
        add edi, 16
        dec edx
        jnz .module
        mov esi, [ebx + 48]             ; the map: two entries of RAM at least
        mov ecx, [ebx + 44]
        add ecx, esi
        xor edx, edx
.entry: cmp dword [esi + 20], 1
        jne .next
        inc edx
.next:  mov eax, [esi]
        lea esi, [esi + eax + 4]
        cmp esi, ecx
        jb .entry
        cmp edx, 2
        jb failed
        jmp done
%endif

; ---- What they share ----
print:  mov dx, SERIAL                  ; the string at esi
.next:  lodsb
        test al, al
        jz .done
        out dx, al
        jmp .next
.done:  ret

print_n: mov dx, SERIAL                 ; ecx bytes at esi
        jecxz .done
.next:  lodsb
        out dx, al
        loop .next
.done:  ret

space:  mov al, '|'
        mov dx, SERIAL
        out dx, al
        ret

failed: mov al, 1
        jmp leave
done:   mov al, 16
leave:  mov dx, EXIT
        out dx, al
stop:   hlt
        jmp stop
        align 16
end:
