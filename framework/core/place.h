// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace triptych {

/// True for what LibTorch and the standard library throw when memory runs out.
bool is_out_of_memory(const std::exception& error);

/// Throws the exception at work anew, its message begun with `place`.
[[noreturn]] void rethrow_at(const std::string& place);

/// Runs a component's `work`. What it throws then says where: "head of task 'bone': map::at".
///
/// Exceptions of LibTorch and of the standard library, which know no place, become errors of the
/// category `model`. Of nested places the innermost is named. Lack of memory, errors of files and
/// ConfigErrors pass as they are.
template <class Work>
decltype(auto) at_place(const std::string& place, Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const std::exception&) {
    rethrow_at(place);
  }
}

}  // namespace triptych
