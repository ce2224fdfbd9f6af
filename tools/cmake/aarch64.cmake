# Cross-build for aarch64 Linux with Debian's compiler against the sysroot that tools/cross unpacks, tests run by user
# emulation. Used by tools/cross only. SPDX-License-Identifier: MIT
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

set(SHUNT_SYSROOT "" CACHE PATH "unpacked arm64 packages")
set(SHUNT_EMULATOR "" CACHE FILEPATH "qemu-aarch64 or qemu-aarch64-static")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SHUNT_SYSROOT SHUNT_EMULATOR)
set(CMAKE_SYSROOT ${SHUNT_SYSROOT})
set(CMAKE_FIND_ROOT_PATH ${SHUNT_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# Only the sysroot's .pc files, their paths put below it.
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${SHUNT_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} "${SHUNT_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${SHUNT_SYSROOT}/usr/share/pkgconfig")

# The emulator's -L is the sysroot, where the dynamic linker and every library lie.
if(SHUNT_EMULATOR)
	set(CMAKE_CROSSCOMPILING_EMULATOR ${SHUNT_EMULATOR} -L ${SHUNT_SYSROOT})
endif()
