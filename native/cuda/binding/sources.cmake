# Sources of the CUDA addon but for the device itself, shared by the build for a GPU and the one for the host.
get_filename_component(winnow_native ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
file(GLOB winnow_addon_sources CONFIGURE_DEPENDS
  ${winnow_native}/cuda/engine/*.cpp ${winnow_native}/cuda/binding/*.cpp)
list(FILTER winnow_addon_sources EXCLUDE REGEX "engine/device_(host|cuda)\\.cpp$")
# What is free of the CPU's own memory and instruction sets serves both backends.
foreach(source binding/call binding/tensors binding/transfer_arguments binding/sets_arguments binding/weight_sources binding/replay
    kernels/tensor kernels/weight_types kernels/weights kernels/weights_read kernels/pool)
  list(APPEND winnow_addon_sources ${winnow_native}/${source}.cpp)
endforeach()
