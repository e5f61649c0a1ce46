# SPDX-License-Identifier: Apache-2.0

# The one precompiled header: LibTorch's modules as framework/core/nn.h curates them.
function(triptych_precompiled_header)
  if(NOT TRIPTYCH_PCH)
    return()
  endif()
  file(WRITE ${CMAKE_BINARY_DIR}/pch.cc "// carries the precompiled header\n")
  add_library(triptych_pch STATIC ${CMAKE_BINARY_DIR}/pch.cc)
  target_link_libraries(triptych_pch PRIVATE triptych::torch fmt::fmt triptych_warnings)
  target_include_directories(triptych_pch PRIVATE ${CMAKE_SOURCE_DIR})
  target_precompile_headers(triptych_pch PRIVATE <string> <vector> <map> <memory> <functional> <fmt/core.h>
                            ${CMAKE_SOURCE_DIR}/framework/core/nn.h)
endfunction()

function(triptych_use_torch target visibility)
  target_link_libraries(${target} ${visibility} triptych::torch)
  if(TARGET triptych_pch)
    target_precompile_headers(${target} REUSE_FROM triptych_pch)
  endif()
endfunction()

# triptych_layer(name [FOLDER folder] [TORCH] [SOURCES a.cc ...] [LINK PUBLIC x PRIVATE y])
# One static library triptych_<name> of framework/<folder>; further sources come from that folder's CMakeLists.txt.
function(triptych_layer name)
  cmake_parse_arguments(LAYER "TORCH" "FOLDER" "SOURCES;LINK" ${ARGN})
  if(NOT LAYER_FOLDER)
    set(LAYER_FOLDER ${name})
  endif()
  list(TRANSFORM LAYER_SOURCES PREPEND framework/${LAYER_FOLDER}/)
  add_library(triptych_${name} STATIC ${LAYER_SOURCES})
  target_include_directories(triptych_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(triptych_${name} ${LAYER_LINK} PRIVATE triptych_warnings)
  if(LAYER_TORCH)
    triptych_use_torch(triptych_${name} PUBLIC)
  else()
    set_target_properties(triptych_${name} PROPERTIES UNITY_BUILD OFF)  # cheap to compile one by one
  endif()
endfunction()

# One OBJECT library a folder of components, found by GLOB so that a new file is enough; their objects are INTERFACE sources
# of triptych_components, because a plain static library would drop self-registered components at link time.
function(triptych_components)
  add_library(triptych_components INTERFACE)
  target_link_libraries(triptych_components INTERFACE triptych_learn)
  foreach(folder IN LISTS ARGN)
    get_filename_component(path ${folder} ABSOLUTE BASE_DIR ${CMAKE_SOURCE_DIR})
    if(NOT IS_DIRECTORY ${path})
      message(FATAL_ERROR "component folder not found: ${path}")
    endif()
    file(GLOB sources CONFIGURE_DEPENDS ${path}/*.cc ${path}/*/*.cc)
    if(NOT sources)
      continue()
    endif()
    string(MAKE_C_IDENTIFIER "triptych_components_${folder}" target)
    add_library(${target} OBJECT ${sources})
    target_link_libraries(${target} PRIVATE triptych_learn triptych_warnings)
    triptych_use_torch(${target} PRIVATE)
    if(IS_ABSOLUTE ${folder})  # a researcher's: two files may use the same local names
      set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
    endif()
    target_sources(triptych_components INTERFACE $<TARGET_OBJECTS:${target}>)
  endforeach()
endfunction()
