# SPDX-License-Identifier: Apache-2.0
# Everything third-party, found once. hack/setup installs all of it; nothing is downloaded here.

set(OPENSSL_USE_STATIC_LIBS OFF)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(CLI11 2.1 REQUIRED)

# longshore_third_party(NAME IMPORTED FILE...): IMPORTED as it is (a shared library), but the archives
# FILE... in programs that have the property LONGSHORE_ARCHIVES: the worker goes into images of any base.
function(longshore_third_party name imported)
  set(archives "")
  foreach(file ${ARGN})
    find_library(archive_${file} NAMES ${file} REQUIRED)
    list(APPEND archives "${archive_${file}}")
  endforeach()
  add_library(${name} INTERFACE)
  target_link_libraries(${name} INTERFACE
    "$<IF:$<BOOL:$<TARGET_PROPERTY:LONGSHORE_ARCHIVES>>,${archives},${imported}>")
  target_include_directories(${name} SYSTEM INTERFACE
    "$<TARGET_PROPERTY:${imported},INTERFACE_INCLUDE_DIRECTORIES>")
endfunction()
longshore_third_party(third_party_crypto OpenSSL::Crypto libcrypto.a)
longshore_third_party(third_party_ssl OpenSSL::SSL libssl.a libcrypto.a)
longshore_third_party(third_party_protobuf_lite protobuf::libprotobuf-lite libprotobuf-lite.a)

find_package(PkgConfig REQUIRED)
pkg_check_modules(YAMLCPP REQUIRED IMPORTED_TARGET yaml-cpp)
pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET libbpf)

# cpp-httplib: one header, put in place by hack/setup.
set(LONGSHORE_CACHE "$ENV{LONGSHORE_CACHE}")
if(NOT LONGSHORE_CACHE)
  set(LONGSHORE_CACHE /var/cache/longshore)
endif()
find_path(HTTPLIB_INCLUDE_DIR httplib.h PATHS "${LONGSHORE_CACHE}/httplib/include" NO_DEFAULT_PATH)
if(NOT HTTPLIB_INCLUDE_DIR)
  message(FATAL_ERROR "httplib.h not found under ${LONGSHORE_CACHE}/httplib/include: run hack/setup")
endif()
add_library(httplib INTERFACE)
target_include_directories(httplib SYSTEM INTERFACE "${HTTPLIB_INCLUDE_DIR}")
target_link_libraries(httplib INTERFACE OpenSSL::SSL OpenSSL::Crypto Threads::Threads)

# spdlog and fmt header-only, so that no binary needs their shared libraries in its image.
find_path(SPDLOG_INCLUDE_DIR spdlog/spdlog.h REQUIRED)
add_library(spdlog_headers INTERFACE)
target_include_directories(spdlog_headers SYSTEM INTERFACE "${SPDLOG_INCLUDE_DIR}")
target_compile_definitions(spdlog_headers INTERFACE SPDLOG_FMT_EXTERNAL_HO FMT_HEADER_ONLY)
target_link_libraries(spdlog_headers INTERFACE Threads::Threads)

find_path(TL_EXPECTED_INCLUDE_DIR tl/expected.hpp REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)

if(LONGSHORE_TESTS)
  find_package(GTest REQUIRED)
endif()
