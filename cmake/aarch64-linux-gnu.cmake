# Cross-compiles for aarch64 with Debian's compiler, against the packages that tools/aarch64-sysroot.sh unpacked; ctest runs
# the result in qemu's user emulation. For presets.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

if(DEFINED ENV{AARCH64_SYSROOT})
  set(sysroot_default "$ENV{AARCH64_SYSROOT}")
elseif(DEFINED ENV{RECOUP_TEST_CACHE})
  set(sysroot_default "$ENV{RECOUP_TEST_CACHE}/aarch64")
else()
  set(sysroot_default "$ENV{HOME}/.cache/recoup-test/aarch64")
endif()
set(RECOUP_AARCH64_SYSROOT "${sysroot_default}" CACHE PATH "What tools/aarch64-sysroot.sh made")
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES RECOUP_AARCH64_SYSROOT)
if(NOT EXISTS "${RECOUP_AARCH64_SYSROOT}/made-from")
  message(FATAL_ERROR "no packages for aarch64 in ${RECOUP_AARCH64_SYSROOT}; run tools/packages.sh aarch64 and "
                      "tools/aarch64-sysroot.sh")
endif()

# Not CMAKE_SYSROOT: Debian's cross compiler would look for its own C++ headers in there too.
set(CMAKE_FIND_ROOT_PATH "${RECOUP_AARCH64_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} "${RECOUP_AARCH64_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${RECOUP_AARCH64_SYSROOT}")
# OpenSSL's configuration is in the directory of the architecture, and libcurl.so names libraries that nothing else links.
set(CMAKE_CXX_FLAGS_INIT "-isystem ${RECOUP_AARCH64_SYSROOT}/usr/include/aarch64-linux-gnu")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${RECOUP_AARCH64_SYSROOT}/usr/lib/aarch64-linux-gnu")

# `max` has every extension that qemu knows, SHA-2 among them. Signing pointers as the standard says costs it more than all
# the rest; this way it is cheap.
find_program(RECOUP_AARCH64_EMULATOR NAMES qemu-aarch64-static qemu-aarch64)
if(RECOUP_AARCH64_EMULATOR)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${RECOUP_AARCH64_EMULATOR};-cpu;max,pauth-impdef=on;-L;${RECOUP_AARCH64_SYSROOT}")
endif()
