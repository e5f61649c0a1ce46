# SPDX-License-Identifier: Apache-2.0
# Every foreign library behind one INTERFACE target triptych::<name>, its headers SYSTEM so that only our lines warn.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)

function(triptych_wrap name)
  add_library(triptych_${name}_dependency INTERFACE)
  add_library(triptych::${name} ALIAS triptych_${name}_dependency)
endfunction()

triptych_wrap(yaml)
if(TARGET yaml-cpp::yaml-cpp)
  target_link_libraries(triptych_yaml_dependency INTERFACE yaml-cpp::yaml-cpp)
else()  # yaml-cpp 0.7
  target_link_libraries(triptych_yaml_dependency INTERFACE yaml-cpp)
endif()
if(TRIPTYCH_FUZZ)
  return()
endif()

# LibTorch: an explicit Torch_DIR or CMAKE_PREFIX_PATH first, then /usr, then the active Python's torch.
find_package(Torch QUIET CONFIG)
if(NOT Torch_FOUND)
  find_package(Python3 COMPONENTS Interpreter)
  execute_process(COMMAND ${Python3_EXECUTABLE} -c "import torch; print(torch.utils.cmake_prefix_path)"
                  OUTPUT_VARIABLE torch_prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(torch_prefix AND EXISTS "${torch_prefix}")
    find_package(CUDAToolkit QUIET)
    if(CUDAToolkit_FOUND AND NOT TARGET CUDA::nvToolsExt AND TARGET CUDA::nvtx3)
      add_library(CUDA::nvToolsExt INTERFACE IMPORTED)  # gone from CUDA 12.x, still asked for by some LibTorch
      target_link_libraries(CUDA::nvToolsExt INTERFACE CUDA::nvtx3)
    endif()
    find_package(Torch REQUIRED CONFIG PATHS "${torch_prefix}" NO_DEFAULT_PATH)
  else()
    message(FATAL_ERROR "LibTorch was not found. On Debian run scripts/setup; elsewhere pass -DCMAKE_PREFIX_PATH=<libtorch>")
  endif()
endif()
if(TORCH_CXX_FLAGS MATCHES "ABI=0")
  message(FATAL_ERROR "This LibTorch uses the old C++ ABI and cannot be linked with ITK and yaml-cpp; take a cxx11-ABI build")
endif()
triptych_wrap(torch)
target_link_libraries(triptych_torch_dependency INTERFACE ${TORCH_LIBRARIES})
target_include_directories(triptych_torch_dependency SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})

find_package(Eigen3 REQUIRED NO_MODULE)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(TIFF REQUIRED)
find_package(ZLIB REQUIRED)
find_package(nlohmann_json REQUIRED)

find_package(HDF5 REQUIRED COMPONENTS C)
triptych_wrap(hdf5)
target_link_libraries(triptych_hdf5_dependency INTERFACE ${HDF5_C_LIBRARIES})
target_include_directories(triptych_hdf5_dependency SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_compile_definitions(triptych_hdf5_dependency INTERFACE H5_USE_110_API)  # one signature in Debian 12 and 13

# Only modules that link on Debian 12 and 13 without extra packages.
find_package(ITK 5.2 REQUIRED COMPONENTS ITKCommon ITKIOImageBase ITKIONIFTI ITKIONRRD ITKIOMeta ITKIOVTK ITKIOPNG ITKIOJPEG
             ITKIOGDCM ITKImageGrid ITKDistanceMap)
include(${ITK_USE_FILE})
find_package(GDCM REQUIRED)  # its trace settings, to keep it off the terminal
triptych_wrap(itk)
target_link_libraries(triptych_itk_dependency INTERFACE ${ITK_LIBRARIES} ITKniftiio gdcmMSFF gdcmDSED gdcmDICT gdcmIOD gdcmCommon)
target_include_directories(triptych_itk_dependency SYSTEM INTERFACE ${ITK_INCLUDE_DIRS} ${GDCM_INCLUDE_DIRS})
# One Eigen in a source: ITK's bundled copy clashes with the system's, which our geometry uses.
target_compile_definitions(triptych_itk_dependency INTERFACE ITK_USE_SYSTEM_EIGEN)
