/* SPDX-License-Identifier: Apache-2.0 */
/* cmake/TypeScript.cmake names the bundle in SQUALL_TYPESCRIPT_FILE if it could be made. */
        .section .rodata
        .globl  sq_js_typescript_start, sq_js_typescript_end
        .hidden sq_js_typescript_start, sq_js_typescript_end
sq_js_typescript_start:
#ifdef SQUALL_TYPESCRIPT_FILE
        .incbin SQUALL_TYPESCRIPT_FILE
#endif
        .byte   0
sq_js_typescript_end:
        .section .note.GNU-stack,"",%progbits
