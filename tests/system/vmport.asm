; VMware's backdoor: IN is a call, with results in registers.
%include "start.inc"

MAGIC   equ 0x564d5868
VMPORT  equ 0x5658

        section .text
        bits 32
%macro backdoor 2                       ; command, EBX
        mov eax, MAGIC
        mov ebx, %2
        mov ecx, %1
        mov edx, VMPORT
        in eax, dx
%endmacro

main:
        topic "calls"
        backdoor 10, 0
        is eax, 6
        backdoor 10, 0
        is ebx, MAGIC
        backdoor 62, MAGIC              ; nobody offers it
        is eax, -1
        is ebx, 0
        mov eax, 1
        mov ebx, 5
        mov ecx, 10
        mov edx, VMPORT
        in eax, dx
        is eax, -1
        is ebx, 5

        topic "the mouse"
        backdoor 41, 0x45414552
        backdoor 40, 0
        is eax, 1
        mov esi, 77
        backdoor 39, 1
        is eax, 0x3442554a
        is esi, 77
        finish
%include "end.inc"
