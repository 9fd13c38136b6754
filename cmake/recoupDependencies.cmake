# The third-party libraries that recoup's headers need, as imported targets. Read by our own build and, installed beside
# recoupConfig.cmake, by every consumer: so both look in the same way.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(OpenSSL 3.0 COMPONENTS Crypto)
find_package(PkgConfig QUIET)

# recoup::<name> from a header and a library. pkg-config only gives hints: a plain prefix in CMAKE_PREFIX_PATH works
# without it.
function(recoup_import name)
  cmake_parse_arguments(arg "OPTIONAL" "HEADER;LIBRARY;PKG_CONFIG;PACKAGE" "" ${ARGN})
  if(TARGET recoup::${name})
    return()
  endif()
  if(PKG_CONFIG_FOUND)
    pkg_check_modules(RECOUP_PC_${name} QUIET ${arg_PKG_CONFIG})
  endif()
  find_path(RECOUP_${name}_INCLUDE_DIR ${arg_HEADER} HINTS ${RECOUP_PC_${name}_INCLUDE_DIRS})
  find_library(RECOUP_${name}_LIBRARY ${arg_LIBRARY} HINTS ${RECOUP_PC_${name}_LIBRARY_DIRS})
  mark_as_advanced(RECOUP_${name}_INCLUDE_DIR RECOUP_${name}_LIBRARY)
  if(NOT RECOUP_${name}_INCLUDE_DIR OR NOT RECOUP_${name}_LIBRARY)
    if(arg_OPTIONAL)
      return()
    endif()
    message(FATAL_ERROR "recoup needs ${arg_HEADER} and lib${arg_LIBRARY}; on Debian and Ubuntu: "
                        "apt-get install ${arg_PACKAGE}")
  endif()
  add_library(recoup::${name} UNKNOWN IMPORTED)
  set_target_properties(recoup::${name} PROPERTIES IMPORTED_LOCATION "${RECOUP_${name}_LIBRARY}")
  target_include_directories(recoup::${name} INTERFACE "${RECOUP_${name}_INCLUDE_DIR}")
endfunction()

recoup_import(sodium HEADER sodium.h LIBRARY sodium PKG_CONFIG libsodium PACKAGE libsodium-dev)
recoup_import(zstd HEADER zstd.h LIBRARY zstd PKG_CONFIG libzstd PACKAGE libzstd-dev)
recoup_import(zlib HEADER zlib.h LIBRARY z PKG_CONFIG zlib PACKAGE zlib1g-dev)
recoup_import(simdjson HEADER simdjson.h LIBRARY simdjson PKG_CONFIG simdjson PACKAGE libsimdjson-dev)
recoup_import(expat HEADER expat.h LIBRARY expat PKG_CONFIG expat PACKAGE libexpat1-dev)
recoup_import(curl HEADER curl/curl.h LIBRARY curl PKG_CONFIG libcurl PACKAGE libcurl4-openssl-dev)
# For recoup/ops/mount/fuse_session.hpp, which recoup.hpp does not include: recoup::fuse3 exists where the library does.
recoup_import(fuse3 HEADER fuse3/fuse_lowlevel.h LIBRARY fuse3 PKG_CONFIG fuse3 PACKAGE libfuse3-dev OPTIONAL)

# CURLOPT_PROTOCOLS_STR, which keeps a redirect or a typing error from leaving HTTP, came with 7.85.
file(STRINGS "${RECOUP_curl_INCLUDE_DIR}/curl/curlver.h" recoup_curl_version REGEX "^#define LIBCURL_VERSION ")
string(REGEX MATCH "[0-9]+[.][0-9]+[.][0-9]+" recoup_curl_version "${recoup_curl_version}")
if(recoup_curl_version VERSION_LESS 7.85)
  message(FATAL_ERROR "recoup needs libcurl 7.85 or later; ${RECOUP_curl_INCLUDE_DIR}/curl is ${recoup_curl_version}. "
                      "Debian 12 and Ubuntu 23.04 have it; elsewhere build it and name its prefix in CMAKE_PREFIX_PATH")
endif()
