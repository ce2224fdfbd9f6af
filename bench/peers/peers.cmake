# The peers in C and C++, each where its package is, and those of SHUNT_PEER_DIRS. SPDX-License-Identifier: MIT
set(peers ${CMAKE_CURRENT_LIST_DIR})

bench_subject(mutex ${peers}/mutex.c)

# peer_with_module(NAME SOURCE MODULE PACKAGE): where pkg-config knows the module.
function(peer_with_module name source module package)
	pkg_check_modules(PEER_${name} QUIET ${module})
	if(PEER_${name}_FOUND)
		bench_subject(${name} ${source} INCLUDES ${PEER_${name}_INCLUDE_DIRS} LIBRARIES ${PEER_${name}_LIBRARIES})
		target_link_directories(subject_${name} PRIVATE ${PEER_${name}_LIBRARY_DIRS})
	else()
		bench_skip(${name} "no ${module}.pc (Debian: ${package})")
	endif()
endfunction()
# peer_with_header(NAME SOURCE HEADER PACKAGE): header-only libraries.
function(peer_with_header name source header package)
	find_path(PEER_${name}_INCLUDE ${header})
	mark_as_advanced(PEER_${name}_INCLUDE)
	if(PEER_${name}_INCLUDE)
		bench_subject(${name} ${source} INCLUDES ${PEER_${name}_INCLUDE})
	else()
		bench_skip(${name} "no ${header} (Debian: ${package})")
	endif()
endfunction()

peer_with_module(tbb ${peers}/tbb.cc tbb libtbb-dev)
peer_with_module(libuv ${peers}/libuv.c libuv libuv1-dev)
peer_with_header(asio ${peers}/asio.cc boost/asio/thread_pool.hpp libboost-dev)
peer_with_header(moodycamel ${peers}/moodycamel.cc concurrentqueue/blockingconcurrentqueue.h libconcurrentqueue-dev)

if(TARGET subject_moodycamel) # GCC 12 takes an end pointer inside it for an overflow
	target_compile_options(subject_moodycamel PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>)
endif()

# The library of the compiler at hand would be another one under clang.
find_package(OpenMP QUIET COMPONENTS C)
if(CMAKE_C_COMPILER_ID STREQUAL GNU AND OpenMP_C_FOUND)
	bench_subject(openmp ${peers}/openmp.c LIBRARIES OpenMP::OpenMP_C)
elseif(CMAKE_C_COMPILER_ID STREQUAL GNU)
	bench_skip(openmp "this GCC has no libgomp (Debian: gcc)")
else()
	bench_skip(openmp "the compiler is ${CMAKE_C_COMPILER_ID}; the peer is GCC's library")
endif()

# A folder named by the user: its peer.cmake, or its sources as one program called after the folder.
foreach(folder IN LISTS SHUNT_PEER_DIRS)
	get_filename_component(folder ${folder} ABSOLUTE BASE_DIR ${CMAKE_BINARY_DIR})
	get_filename_component(name ${folder} NAME)
	file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.c ${folder}/*.cc)
	if(EXISTS ${folder}/peer.cmake)
		set(PEER_DIR ${folder})
		include(${folder}/peer.cmake)
	elseif(sources)
		bench_subject(${name} ${sources})
	else()
		message(FATAL_ERROR "SHUNT_PEER_DIRS: '${folder}': want a folder with a peer.cmake or with *.c or *.cc sources")
	endif()
endforeach()
