# The same parity table over the kernels translated for the host: no device, no nvcc for the kernels.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  foreach(source ${portable_sources} ${hopper_sources})
    if(source MATCHES "\\.cpp$")
      continue()
    endif()
    get_filename_component(name ${source} NAME_WE)
    set(translated ${CMAKE_BINARY_DIR}/emulated/${name}.cpp)
    add_custom_command(OUTPUT ${translated}
      COMMAND sed -E -f ${CMAKE_CURRENT_SOURCE_DIR}/emulate/translate.sed ${CMAKE_CURRENT_SOURCE_DIR}/${source} > ${translated}
      DEPENDS ${source} emulate/translate.sed)
    list(APPEND emulated_sources ${translated})
  endforeach()
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/emulated)
  file(GLOB kernel_headers CONFIGURE_DEPENDS kernels/*.cuh kernels/*.h emulate/*.h)
  set_source_files_properties(${emulated_sources} PROPERTIES
    COMPILE_OPTIONS "-include;${CMAKE_CURRENT_SOURCE_DIR}/emulate/emulate.h;-Wno-attributes;-Wno-unknown-pragmas"
    OBJECT_DEPENDS "${kernel_headers}")
  get_target_property(test_sources winnow_cuda_test SOURCES)
  add_executable(winnow_cuda_emulated_test ${test_sources} emulate/fibers.cpp emulate/hopper.cpp emulate/runtime.cpp ${emulated_sources}
    kernels/linear_blas.cpp)
  target_include_directories(winnow_cuda_emulated_test PRIVATE emulate include kernels ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  target_link_libraries(winnow_cuda_emulated_test PRIVATE winnow_cuda_reference)
  # A device refuses what x86-64 lets pass: reads and writes off the alignment of their type.
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_FLAGS "-fsanitize=alignment")
  check_cxx_source_compiles("int main() { return 0; }" WINNOW_HAS_ALIGNMENT_CHECK)
  unset(CMAKE_REQUIRED_FLAGS)
  if(WINNOW_HAS_ALIGNMENT_CHECK)
    target_compile_options(winnow_cuda_emulated_test PRIVATE
      "$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=alignment;-fno-sanitize-recover=alignment>")
    target_link_options(winnow_cuda_emulated_test PRIVATE -fsanitize=alignment)
  endif()

  # Their pipelines in every order, from programs that the translated kernels leave.
  set(protocol_sources test/protocol_prefill.cpp test/protocol_union.cpp test/protocol_decode.cpp test/protocol_wide.cpp)
  set_source_files_properties(${protocol_sources} PROPERTIES
    COMPILE_OPTIONS "-include;${CMAKE_CURRENT_SOURCE_DIR}/emulate/emulate.h;-Wno-attributes;-Wno-unknown-pragmas"
    OBJECT_DEPENDS "${kernel_headers};${CMAKE_BINARY_DIR}/emulated/prefill_attention.cpp;${CMAKE_BINARY_DIR}/emulated/prefill_union.cpp;${CMAKE_BINARY_DIR}/emulated/decode_attention.cpp;${CMAKE_BINARY_DIR}/emulated/linear_wide.cpp")
  add_executable(winnow_cuda_protocol_test test/protocol_test.cpp test/explore.cpp ${protocol_sources} emulate/fibers.cpp
    emulate/hopper.cpp emulate/runtime.cpp ${CMAKE_BINARY_DIR}/emulated/device.cpp
    ${CMAKE_BINARY_DIR}/emulated/prefill_portable.cpp)
  target_include_directories(winnow_cuda_protocol_test PRIVATE ${CMAKE_BINARY_DIR} emulate include kernels ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
endif()
