# The guard before it is needed: waits on the client for 50 ms with nothing of a
# Go program in memory, then becomes the guard. SPDX-License-Identifier: BSD-3-Clause
#
# amd64.bin is this as a whole ELF file: gcc -c amd64.S -o amd64.o && ld -N --oformat binary -Ttext 0x400000 -o amd64.bin amd64.o
# A test compares the two.
#
# argv: the guard's own. Descriptors: 3 the client, 6 the program to become, 7… the link's.
# Instructions use no stack but what is there, and no memory but the stack.

	.intel_syntax noprefix
	.equ FD_CLIENT, 3
	.equ FD_PROGRAM, 6
	.equ FD_LINK, 7
	.equ PATIENCE_MS, 50

	.equ SYS_recvfrom, 45
	.equ SYS_poll, 7
	.equ SYS_rt_sigaction, 13
	.equ SYS_exit_group, 231
	.equ SYS_execveat, 322
	.equ SYS_close_range, 436

	.text
	.globl _start
base:
	# ELF header (System V ABI, chapter 4)
	.byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0
	.short 2, 62		# ET_EXEC, EM_X86_64
	.long 1
	.quad _start
	.quad segment - base
	.quad 0
	.long 0
	.short 64, 56, 1, 0, 0, 0
segment:
	.long 1, 5		# PT_LOAD, readable and executable
	.quad 0, base, base
	.quad end - base, end - base
	.quad 4096

_start:
	mov r12, [rsp]		# argc
	lea r13, [rsp + 8]	# argv
	lea r14, [r13 + r12*8 + 8]	# envp
	sub rsp, 256

	# What ends the client must not end its guard; being ignored outlasts execveat.
	# struct sigaction of the kernel: SIG_IGN, flags, restorer, mask
	mov qword ptr [rsp], 1
	mov qword ptr [rsp + 8], 0
	mov qword ptr [rsp + 16], 0
	mov qword ptr [rsp + 24], 0
	lea rbx, [rip + signals]
ignore:
	movzx edi, byte ptr [rbx]
	test edi, edi
	jz wait
	mov rsi, rsp
	xor edx, edx
	mov r10d, 8
	mov eax, SYS_rt_sigaction
	syscall
	inc rbx
	jmp ignore

wait:	# poll({FD_CLIENT, POLLIN}, 1, PATIENCE_MS)
	mov dword ptr [rsp], FD_CLIENT
	mov dword ptr [rsp + 4], 1
	mov rdi, rsp
	mov esi, 1
	mov edx, PATIENCE_MS
	mov eax, SYS_poll
	syscall
	cmp eax, 1
	jne become		# the time is over
	mov r10d, 0x42		# MSG_PEEK | MSG_DONTWAIT
	call receive
	cmp eax, 1
	jne become		# the client is gone
	cmp byte ptr [rsp], 'B'
	je done			# farewell: nothing is left to undo
	cmp byte ptr [rsp], 'R'
	jne become		# something only the guard itself understands
	# Release: the link is closed, and the guard has no descriptors of it.
	cmp r12, 3
	jl become
	mov edi, FD_LINK
	mov esi, -1
	xor edx, edx
	mov eax, SYS_close_range
	syscall
	test eax, eax
	jnz become		# a kernel before 5.9
	mov r10d, 0x40		# MSG_DONTWAIT
	call receive
	mov rax, [r13 + 16]	# argv[2], the number of the link's descriptors
	mov word ptr [rax], '0'
	jmp wait

receive:	# recvfrom(FD_CLIENT, rsp, 1, r10, 0, 0), the return address being above
	mov edi, FD_CLIENT
	lea rsi, [rsp + 8]
	mov edx, 1
	xor r8d, r8d
	xor r9d, r9d
	mov eax, SYS_recvfrom
	syscall
	ret

become:	# execveat(FD_PROGRAM, "", argv, envp, AT_EMPTY_PATH)
	mov edi, FD_PROGRAM
	lea rsi, [rip + empty]
	mov rdx, r13
	mov r10, r14
	mov r8d, 0x1000
	mov eax, SYS_execveat
	syscall
	mov edi, 127
	jmp exit
done:
	xor edi, edi
exit:
	mov eax, SYS_exit_group
	syscall

signals:	# HUP INT QUIT USR1 USR2 PIPE TERM TSTP
	.byte 1, 2, 3, 10, 12, 13, 15, 20
empty:
	.byte 0
end:
