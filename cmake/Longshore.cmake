# SPDX-License-Identifier: Apache-2.0
# The three kinds of target in this project, so that each folder's CMakeLists.txt is a few lines.

option(LONGSHORE_TESTS "Build the tests" ON)
option(LONGSHORE_FUZZERS "Build the libFuzzer targets (clang only)" OFF)
set(LONGSHORE_SANITIZE "" CACHE STRING "Value for -fsanitize=, empty for none")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# Everything of ours is compiled with this; third-party headers are SYSTEM includes and stay silent.
add_library(longshore_options INTERFACE)
target_include_directories(longshore_options INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(longshore_options INTERFACE
  -Wall -Wextra -Werror -Wno-missing-field-initializers
  "-ffile-prefix-map=${CMAKE_SOURCE_DIR}=."
  # libstdc++ 12's own stable_sort uses what it deprecates; g++ still looks for deprecated things of others.
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety;-Wno-deprecated-declarations>
  # Sources that are compiled together (CMAKE_UNITY_BUILD) are headers to g++.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
target_compile_options(longshore_options INTERFACE
  $<$<CONFIG:Release,RelWithDebInfo>:-fstack-protector-strong;-fstack-clash-protection;-D_FORTIFY_SOURCE=2;-D_GLIBCXX_ASSERTIONS>)
target_link_options(longshore_options INTERFACE
  $<$<CONFIG:Release,RelWithDebInfo>:-Wl,-z,relro;-Wl,-z,now>)
if(LONGSHORE_SANITIZE)
  target_compile_options(longshore_options INTERFACE
    -fsanitize=${LONGSHORE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
    # With sanitizers g++ 12 sees uninitialised members in its own <regex>; its manual warns of such.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(longshore_options INTERFACE -fsanitize=${LONGSHORE_SANITIZE})
endif()

# longshore_add_library(NAME SOURCES... [DEPS targets...]): static library longshore_NAME, alias longshore::NAME.
function(longshore_add_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(longshore_${name} STATIC ${ARG_SOURCES})
  add_library(longshore::${name} ALIAS longshore_${name})
  target_link_libraries(longshore_${name} PUBLIC longshore_options ${ARG_DEPS})
endfunction()

# longshore_add_program(NAME SOURCES... DEPS...): executable NAME, installed into bin.
function(longshore_add_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE longshore_options ${ARG_DEPS})
  install(TARGETS ${name} COMPONENT ${name})
  add_dependencies(programs ${name})
endfunction()

# What a run needs to build: the demo the programs, a sanitizer preset the unit tests, an emulated kernel the
# kernel tests.
add_custom_target(programs)
add_custom_target(unit_tests)
add_custom_target(kernel_tests)
add_custom_target(threads_tests)
add_custom_target(fuzzers)
add_custom_target(generated)  # headers that no one wrote, for what reads sources without building

# longshore_add_test(NAME [THREADS] SOURCES... DEPS... [LABELS unit|integration|kernel|e2e]): GoogleTest
# binary, one ctest entry per binary; label `unit` unless said otherwise. THREADS: many threads meet in it, so
# every run looks at it with ThreadSanitizer too.
function(longshore_add_test name)
  cmake_parse_arguments(ARG "THREADS" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(ARG_THREADS)
    list(APPEND ARG_LABELS threads)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(LONGSHORE_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 5")  # they run that much slower
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE longshore_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "LONGSHORE_SOURCE_DIR=${CMAKE_SOURCE_DIR}")
  foreach(label unit kernel threads)
    if(label IN_LIST ARG_LABELS)
      add_dependencies(${label}_tests ${name})
    endif()
  endforeach()
endfunction()

# longshore_add_fuzzer(NAME SOURCES... DEPS... CORPUS folder): a libFuzzer target (preset asan), and a ctest entry
# that runs it over its corpus (tests/fuzz/run).
function(longshore_add_fuzzer name)
  if(NOT LONGSHORE_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE longshore_options ${ARG_DEPS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${name})
  file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/${name}.found")
  add_test(NAME ${name} COMMAND "${CMAKE_SOURCE_DIR}/tests/fuzz/run" $<TARGET_FILE:${name}>
    "${CMAKE_CURRENT_BINARY_DIR}/${name}.found" "${CMAKE_CURRENT_SOURCE_DIR}/${ARG_CORPUS}")
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 1800)
endfunction()
