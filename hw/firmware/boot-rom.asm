; Option ROM that starts a kernel given by -kernel once the firmware has set up the machine.
;
; The firmware finds it as a boot device (Plug and Play BIOS 1.0A §3.2, boot entry vector).  It fetches the pieces from
; the firmware configuration device by DMA, which reaches all memory even from real mode, and enters the kernel the way
; its protocol says.  Assembled three times:
;   LINUX      Linux/x86 boot protocol, 16-bit entry (Documentation/x86/boot.rst)
;   PVH        Xen's start-of-day structure for HVM guests (public/arch-x86/hvm/start_info.h)
;   MULTIBOOT  Multiboot specification 0.6.96
; The checksum byte and the size are filled in by boot-rom.py.

        bits 16
        org 0

FW_SELECT       equ 0x510
FW_DATA         equ 0x511
FW_DMA_HIGH     equ 0x514
FW_DMA_LOW      equ 0x518
DMA_READ        equ 0x02
DMA_SELECT      equ 0x08
DMA_ERROR       equ 0x01

KEY_KERNEL_ADDR equ 0x07
KEY_KERNEL_SIZE equ 0x08
KEY_INITRD_ADDR equ 0x0a
KEY_INITRD_SIZE equ 0x0b
KEY_ENTRY       equ 0x10
KEY_KERNEL_DATA equ 0x11
KEY_INITRD_DATA equ 0x12
KEY_CMD_ADDR    equ 0x13
KEY_CMD_SIZE    equ 0x14
KEY_CMD_DATA    equ 0x15
KEY_SETUP_ADDR  equ 0x16
KEY_SETUP_SIZE  equ 0x17
KEY_SETUP_DATA  equ 0x18

SCRATCH         equ 0x9b00              ; segment of our own memory: above the place of any kernel's setup
START_INFO      equ 0                   ; struct hvm_start_info
MODULES         equ 0x40                ; one struct hvm_modlist_entry
DMA             equ 0x80                ; FWCfgDmaAccess
GDT_POINTER     equ 0x90
ENTRY           equ 0xa0
MBI             equ 0xa4
MAP             equ 0x100               ; memory map, 24 bytes an entry
MAP_ENTRIES     equ 128

        db 0x55, 0xaa
        db 0                            ; size in 512 bytes
        retf                            ; initialisation: nothing to do
        times 0x1a - ($ - $$) db 0
        dw pnp
        times 0x20 - ($ - $$) db 0

pnp:    db "$PnP"
        db 1, 2                         ; revision, length / 16
        dw 0
        db 0
        db 0                            ; checksum, by boot-rom.py
        dd 0
        dw maker, product
        db 0x02, 0x80, 0x00             ; device type: a boot device
        db 0x64                         ; may be used for boot, initialisable, read-cacheable
        dw 0, 0
        dw start                        ; boot entry vector
        dw 0, 0
maker:  db "Ostler", 0
%ifdef LINUX
product: db "Linux loader ROM", 0
%elifdef PVH
product: db "PVH loader ROM", 0
%else
product: db "multiboot loader ROM", 0
%endif

; eax = the 32-bit item with key ax
fw_read32:
        push dx
        push cx
        mov dx, FW_SELECT
        out dx, ax
        mov dx, FW_DATA
        mov cx, 4
        xor eax, eax
.byte:  in al, dx
        ror eax, 8
        loop .byte
        pop cx
        pop dx
        ret

; Fetch one piece: cx = key of its size, bx = key of its address, si = key of its data.  es = SCRATCH.
fw_load:
        mov ax, cx
        call fw_read32
        test eax, eax
        jz .done
        bswap eax
        mov [es:DMA + 4], eax
        mov ax, bx
        call fw_read32
        bswap eax
        mov dword [es:DMA + 8], 0
        mov [es:DMA + 12], eax
        movzx eax, si
        shl eax, 16
        or eax, DMA_SELECT | DMA_READ
        bswap eax
        mov [es:DMA], eax
        mov dx, FW_DMA_HIGH
        xor eax, eax
        out dx, eax
        mov dx, FW_DMA_LOW
        mov eax, (SCRATCH << 4) + DMA
        bswap eax
        out dx, eax
.wait:  mov eax, [es:DMA]               ; the device clears it when it is done
        bswap eax
        test eax, DMA_ERROR
        jnz failed
        test eax, eax
        jnz .wait
.done:  ret

failed: mov si, error
        push cs
        pop ds
.char:  lodsb
        test al, al
        jz .stop
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        jmp .char
.stop:  sti
        hlt
        jmp .stop
error:  db "loading the kernel failed", 13, 10, 0

start:  cld
        mov ax, SCRATCH
        mov es, ax
        xor di, di
        xor eax, eax
        mov cx, (MAP + MAP_ENTRIES * 24) / 4
        rep stosd

%ifdef LINUX
        mov cx, KEY_SETUP_SIZE
        mov bx, KEY_SETUP_ADDR
        mov si, KEY_SETUP_DATA
        call fw_load
%endif
        mov cx, KEY_CMD_SIZE
        mov bx, KEY_CMD_ADDR
        mov si, KEY_CMD_DATA
        call fw_load
        mov cx, KEY_KERNEL_SIZE
        mov bx, KEY_KERNEL_ADDR
        mov si, KEY_KERNEL_DATA
        call fw_load
        mov cx, KEY_INITRD_SIZE
        mov bx, KEY_INITRD_ADDR
        mov si, KEY_INITRD_DATA
        call fw_load

%ifdef LINUX
        ; 16-bit entry: CS = setup segment + 20h, all others the setup segment, stack below the command line.
        mov ax, KEY_CMD_ADDR
        call fw_read32
        mov ebx, eax
        mov ax, KEY_SETUP_ADDR
        call fw_read32
        sub ebx, eax
        sub bx, 16
        shr eax, 4
        cli
        mov ss, ax
        mov sp, bx
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        add ax, 0x20
        push ax
        push word 0
        xor ebx, ebx
        retf
%else
        ; The memory map of the firmware: entries of 20 bytes, kept 24 apart.
        mov di, MAP
        xor ebx, ebx
        xor bp, bp
.next:  mov eax, 0xe820
        mov edx, 0x534d4150             ; "SMAP"
        mov ecx, 20
        int 0x15
        jc .mapped
        cmp eax, 0x534d4150
        jne .mapped
        add di, 24
        inc bp
        test ebx, ebx
        jz .mapped
        cmp bp, MAP_ENTRIES
        jb .next
.mapped:
        mov ax, KEY_ENTRY
        call fw_read32
        mov [es:ENTRY], eax
%ifdef PVH
        mov dword [es:START_INFO], 0x336ec578
        mov dword [es:START_INFO + 4], 1
        movzx eax, bp
        mov [es:START_INFO + 48], eax
        mov dword [es:START_INFO + 40], (SCRATCH << 4) + MAP
        mov ax, KEY_CMD_ADDR
        call fw_read32
        mov [es:START_INFO + 24], eax
        mov ax, KEY_INITRD_SIZE
        call fw_read32
        test eax, eax
        jz .no_module
        mov [es:MODULES + 8], eax
        mov ax, KEY_INITRD_ADDR
        call fw_read32
        mov [es:MODULES], eax
        mov dword [es:START_INFO + 12], 1
        mov dword [es:START_INFO + 16], (SCRATCH << 4) + MODULES
.no_module:
        ; ACPI's root pointer lies on a 16-byte border in E0000h..FFFFFh (ACPI §5.2.5.1).
        mov ax, 0xe000
.look:  mov ds, ax
        cmp dword [0], "RSD "
        jne .not_here
        cmp dword [4], "PTR "
        je .found
.not_here:
        inc ax
        jnz .look
        jmp .switch
.found: movzx eax, ax
        shl eax, 4
        mov [es:START_INFO + 32], eax
.switch:
%else
        mov ax, KEY_SETUP_ADDR          ; the multiboot information
        call fw_read32
        mov [es:MBI], eax
%endif
        cli
        mov ax, cs                      ; where the table lies in memory
        movzx eax, ax
        shl eax, 4
        mov esi, eax
        add eax, gdt
        mov word [es:GDT_POINTER], gdt_end - gdt - 1
        mov [es:GDT_POINTER + 2], eax
        o32 lgdt [es:GDT_POINTER]
        add esi, flat
        push es
        pop ds
        mov [GDT_POINTER + 8], esi      ; a far pointer: code offset, then selector
        mov word [GDT_POINTER + 12], 8
        mov eax, cr0
        or al, 1
        mov cr0, eax
        o32 jmp far [GDT_POINTER + 8]

        bits 32
flat:   mov eax, 16
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov fs, eax
        mov gs, eax
%ifdef PVH
        mov ebx, (SCRATCH << 4) + START_INFO
        xor eax, eax
%else
        ; Give the entries the form of the multiboot memory map (§3.3): size, base, length, type.
        mov ebx, [(SCRATCH << 4) + MBI]
        mov edi, [ebx + 48]             ; mmap_addr, room for the whole map
        mov esi, (SCRATCH << 4) + MAP
        xor edx, edx
.entry: cmp dword [esi + 16], 0
        je .filled
        mov dword [edi], 20
        mov ecx, 5
        push esi
        add edi, 4
        rep movsd
        pop esi
        cmp dword [esi + 16], 1         ; RAM: lower and upper memory in KiB
        jne .skip
        mov eax, [esi]
        or eax, [esi + 4]
        jnz .upper
        mov eax, [esi + 8]
        shr eax, 10
        mov [ebx + 4], eax
.upper: cmp dword [esi + 4], 0
        jne .skip
        cmp dword [esi], 0x100000
        jne .skip
        mov eax, [esi + 8]
        shr eax, 10
        mov [ebx + 8], eax
.skip:  add esi, 24
        add edx, 24
        cmp edx, MAP_ENTRIES * 24
        jb .entry
.filled:
        mov [ebx + 44], edx             ; mmap_length
        mov eax, 0x2badb002
%endif
        mov ecx, [(SCRATCH << 4) + ENTRY]
        xor edx, edx
        xor esi, esi
        xor edi, edi
        xor ebp, ebp
        jmp ecx

        align 8
gdt:    dq 0
        dq 0x00cf9b000000ffff           ; 8: code, flat, 32 bits
        dq 0x00cf93000000ffff           ; 16: data, flat
gdt_end:
%endif
