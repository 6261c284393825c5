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
endif()
