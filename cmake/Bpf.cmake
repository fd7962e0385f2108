# SPDX-License-Identifier: Apache-2.0
# BPF programs: compiled by clang, stripped of DWARF (BTF stays) and embedded as a libbpf skeleton, so that the
# program needs no file beside it. libbpf itself is linked statically: the skeleton must match it.

find_program(LONGSHORE_BPF_CLANG NAMES clang-19 clang REQUIRED)
find_program(LONGSHORE_BPF_STRIP NAMES llvm-strip-19 llvm-strip REQUIRED)
find_program(LONGSHORE_BPFTOOL bpftool PATHS /usr/sbin /sbin REQUIRED)
find_library(LONGSHORE_LIBBPF_A libbpf.a REQUIRED)
find_library(LONGSHORE_LIBELF elf REQUIRED)
find_library(LONGSHORE_LIBZ z REQUIRED)

# longshore_add_bpf(NAME SOURCE x.bpf.c [HEADERS ...]): interface library longshore::bpf_NAME, through which
# C++ includes "NAME.skel.h" and links libbpf.
function(longshore_add_bpf name)
  cmake_parse_arguments(ARG "" "SOURCE" "HEADERS" ${ARGN})
  set(out "${CMAKE_CURRENT_BINARY_DIR}/bpf")
  file(MAKE_DIRECTORY "${out}")
  set(source "${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SOURCE}")
  list(TRANSFORM ARG_HEADERS PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/" OUTPUT_VARIABLE headers)

  add_custom_command(OUTPUT "${out}/${name}.bpf.o"
    COMMAND ${LONGSHORE_BPF_CLANG} -g -O2 -target bpf -mcpu=v3
      -Wall -Wextra -Werror -Wno-unused-parameter
      "-I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}" "-ffile-prefix-map=${CMAKE_SOURCE_DIR}=."
      -c "${source}" -o "${out}/${name}.bpf.o"
    COMMAND ${LONGSHORE_BPF_STRIP} -g "${out}/${name}.bpf.o"
    DEPENDS "${source}" ${headers} VERBATIM
    COMMENT "BPF ${ARG_SOURCE}")
  # bpftool names the C structs after NAME; written to a file by sh, since it only prints.
  add_custom_command(OUTPUT "${out}/${name}.skel.h"
    COMMAND sh -c "\"$1\" gen skeleton \"$2\" name \"$3\" > \"$4.tmp\" && mv \"$4.tmp\" \"$4\"" sh
      ${LONGSHORE_BPFTOOL} "${out}/${name}.bpf.o" ${name} "${out}/${name}.skel.h"
    DEPENDS "${out}/${name}.bpf.o" VERBATIM
    COMMENT "BPF skeleton ${name}.skel.h")

  add_custom_target(longshore_bpf_${name}_skeleton DEPENDS "${out}/${name}.skel.h")
  add_dependencies(generated longshore_bpf_${name}_skeleton)
  add_library(longshore_bpf_${name} INTERFACE)
  add_library(longshore::bpf_${name} ALIAS longshore_bpf_${name})
  add_dependencies(longshore_bpf_${name} longshore_bpf_${name}_skeleton)
  target_include_directories(longshore_bpf_${name} SYSTEM INTERFACE "${out}")
  target_link_libraries(longshore_bpf_${name} INTERFACE
    ${LONGSHORE_LIBBPF_A} ${LONGSHORE_LIBELF} ${LONGSHORE_LIBZ})
endfunction()
